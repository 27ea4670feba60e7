import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from './run-program.ts';

/** What a client needs to reach a stand-in server by SSH. */
export interface ServerSsh {
  readonly sshKey: string;
  readonly knownHosts: string;
  readonly sshConfig: string;
}

interface SshServer {
  readonly directory: string;
  readonly name: string;
  readonly address: string;
}

/** The configuration that the server's sshd is started with. */
export function sshdConfigPath(directory: string): string {
  return join(directory, 'sshd_config');
}

/** Makes the keys and configurations of the server and of its client. */
export async function makeSshFiles(server: SshServer): Promise<ServerSsh> {
  const { directory } = server;
  const sshKey = join(directory, 'id_ed25519');
  const hostKey = join(directory, 'host_ed25519');
  const knownHosts = join(directory, 'known_hosts');
  const sshConfig = join(directory, 'ssh_config');
  for (const key of [sshKey, hostKey]) {
    await runProgram('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key);
  }
  const publicKey = await readFile(`${hostKey}.pub`, 'utf8');
  await writeFile(knownHosts, `${server.name},${server.address} ${publicKey}`);
  await writeFile(sshConfig, clientConfig(server, sshKey, knownHosts));
  await writeFile(sshdConfigPath(directory), serverConfig(server, hostKey, `${sshKey}.pub`));
  return { sshKey, knownHosts, sshConfig };
}

function clientConfig({ name, address }: SshServer, key: string, knownHosts: string): string {
  return [
    `Host ${name} ${address}`,
    `  HostName ${address}`,
    '  User root',
    `  IdentityFile ${key}`,
    '  IdentitiesOnly yes',
    `  UserKnownHostsFile ${knownHosts}`,
    '  StrictHostKeyChecking yes',
    '',
  ].join('\n');
}

function serverConfig({ address }: SshServer, hostKey: string, accepted: string): string {
  return [
    `ListenAddress ${address}`,
    'Port 22',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${accepted}`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    // The keys lie in a folder of /tmp.
    'StrictModes no',
    'PidFile /run/sshd.pid',
    '',
  ].join('\n');
}
