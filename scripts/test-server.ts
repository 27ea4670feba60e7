import { importBaseImage, requireBaseImage } from '../test/support/base-image.ts';
import { removeServer, requireServer, standInServer } from '../test/support/stand-in-server.ts';
import { importWorkloadImage } from '../test/support/workload-image.ts';

// A stand-in server to try things on: npm run test:server -- start|stop NAME

const [action, name] = process.argv.slice(2);
if (name !== undefined && action === 'start') await start(name);
else if (name !== undefined && action === 'stop') await removeServer(name);
else {
  process.stderr.write('npm run test:server -- start|stop NAME\n');
  process.exit(2);
}

async function start(serverName: string): Promise<void> {
  if (!requireServer()) process.exit(1);
  const server = await standInServer(serverName);
  await importWorkloadImage(server.dockerHost);
  if (requireBaseImage()) await importBaseImage(server.dockerHost);
  process.stdout.write(`address of the server: ${server.address}
the server reaches this machine at: ${server.hubAddress}
its engine: export DOCKER_HOST=${server.dockerHost}
its agent image: npm run image:agent -- -H ${server.dockerHost}
a shell on it: ssh -F ${server.sshConfig} ${server.name}
`);
}
