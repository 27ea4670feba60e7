import { mkdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import {
  fingerprintOf,
  newAuthority,
  newServerCertificate,
  shownFingerprint,
  writeKeyPair,
} from './support/certificates.ts';
import { freePort, type Program, Started } from './support/processes.ts';
import { connect, startAgent, startServer, type TomoServer } from './support/tomo.ts';

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

const SELF_SIGNED = { tls: true, args: ['--tls-self-signed'] };
const OTHER_FINGERPRINT = 'ab'.repeat(32);
const installed = z.object({ deploy_command: z.string(), compose_yaml: z.string() });

/** Installs an agent and answers the environment that its deploy command gives the container. */
async function deployEnvironment(
  server: TomoServer,
  serverId: string,
): Promise<Record<string, string>> {
  const client = await connect(started, 'v2-auto', server.stdio);
  const { structuredContent } = await client.callTool('install_agent', { server_id: serverId });
  // It would take over while the server is away.
  await client.close();
  const { deploy_command: command } = installed.parse(structuredContent);
  const pairs = command.matchAll(/-e '?([A-Z_]+)=([^\s']*)'?/g);
  return Object.fromEntries([...pairs].map(([, name = '', value = '']) => [name, value]));
}

function startAgentWith(env: Record<string, string>): Program {
  return started.agent({ ...env, DATA_DIR: join(started.directory(), 'agent') });
}

describe('--tls-self-signed', () => {
  it('lets in an agent with the environment of the deploy command, and knows it again', async () => {
    const server = await startServer(started, SELF_SIGNED);
    const env = await deployEnvironment(server, 'web-1');
    expect(env).toMatchObject({ SERVER_FINGERPRINT: await shownFingerprint(server) });
    const agent = startAgentWith(env);
    await agent.line('"connected"');
    const since = agent.lineCount();
    await server.program.stop('SIGTERM');
    const { dataDir, port } = server;
    const again = await startServer(started, { dataDir, port, ...SELF_SIGNED });
    expect(await shownFingerprint(again)).toBe(env['SERVER_FINGERPRINT']);
    await agent.line('"connected"', since);
    for (const name of ['cert.pem', 'key.pem']) {
      expect(statSync(join(dataDir, 'tls', name)).mode & 0o777).toBe(0o600);
    }
  });

  it('never gets the code of an agent that is held to another certificate', async () => {
    const server = await startServer(started, SELF_SIGNED);
    const env = await deployEnvironment(server, 'web-1');
    const wrong = startAgentWith({ ...env, SERVER_FINGERPRINT: OTHER_FINGERPRINT });
    const line = await wrong.line(OTHER_FINGERPRINT);
    expect(line).toContain(await shownFingerprint(server));
    // The code is good still: nobody has used it.
    await startAgentWith(env).line('"connected"');
    expect(wrong.log()).not.toContain('"connected"');
  });

  it('an agent that is held to nothing does not trust it', async () => {
    const server = await startServer(started, SELF_SIGNED);
    const { SERVER_FINGERPRINT: _, ...env } = await deployEnvironment(server, 'web-1');
    await startAgentWith(env).line('self-signed certificate');
  });

  it('stands for TLS where other machines reach it, and runs an agent of its own', async () => {
    const port = await freePort();
    const args = ['--host', '0.0.0.0', '--tls-self-signed', '--local-agent'];
    const server = await startServer(started, { port, tls: true, args });
    await server.program.line('"msg":"connected"');
  });

  it('keeps its certificate when the address changes, and says which names it lacks', async () => {
    const server = await startServer(started, SELF_SIGNED);
    const before = await shownFingerprint(server);
    await server.program.stop('SIGTERM');
    const { dataDir, port } = server;
    const args = [...SELF_SIGNED.args, '--public-url', 'https://new.example'];
    const moved = await startServer(started, { dataDir, port, tls: true, args });
    expect(await shownFingerprint(moved)).toBe(before);
    expect(moved.program.log()).toContain('new.example');
  });

  it('is nothing that agents are held to behind a proxy, which install_agent says', async () => {
    const proxy = ['--public-url', 'https://tomo.example', '--trusted-proxies', '127.0.0.1'];
    const server = await startServer(started, { tls: true, args: ['--tls-self-signed', ...proxy] });
    const client = await connect(started, 'v2-auto', server.stdio);
    const { structuredContent } = await client.callTool('install_agent', { server_id: 'web-1' });
    expect(structuredContent?.['deploy_command']).not.toContain('SERVER_FINGERPRINT');
    expect(structuredContent?.['warnings']).toContainEqual(
      expect.stringContaining('--trusted-proxies'),
    );
  });

  it('does not start with a damaged certificate: exit 1, one line with the way out', async () => {
    const dataDir = started.directory();
    mkdirSync(join(dataDir, 'tls'));
    writeFileSync(join(dataDir, 'tls', 'cert.pem'), 'half of it');
    const program = started.tomo(['serve', '--tls-self-signed', '--data-dir', dataDir]);
    expect(await program.ended).toBe(1);
    expect(program.log()).toMatch(/backup/);
    expect(program.log().split('\n')).toHaveLength(1);
  });
});

describe('--tls-cert and --tls-key', () => {
  it('are taken anew when they are swapped on disk: new agents see it, older ones stay', async () => {
    const authority = await newAuthority();
    const [old, fresh] = [
      await newServerCertificate(['127.0.0.1'], { authority }),
      await newServerCertificate(['127.0.0.1'], { authority }),
    ];
    const directory = started.directory();
    const caFile = join(directory, 'ca.pem');
    writeFileSync(caFile, authority.cert);
    writeKeyPair(join(directory, 'old'), old);
    writeKeyPair(join(directory, 'new'), fresh);
    symlinkSync('old', join(directory, 'live'));
    const live = (name: string): string => join(directory, 'live', name);
    const args = ['--tls-cert', live('cert.pem'), '--tls-key', live('key.pem')];
    const server = await startServer(started, { tls: true, args });
    const client = await connect(started, 'v2-auto', server.stdio);
    const trust = { CA_CERT: caFile };
    const first = await startAgent(started, server, client, 'web-1', trust);
    expect(await shownFingerprint(server)).toBe(fingerprintOf(old));

    symlinkSync('new', join(directory, 'next'));
    renameSync(join(directory, 'next'), join(directory, 'live'));
    await server.program.line(fingerprintOf(fresh));

    expect(await shownFingerprint(server)).toBe(fingerprintOf(fresh));
    await startAgent(started, server, client, 'web-2', { CA_CERT: authority.cert });
    const { structuredContent } = await client.callTool('list_agents', { status: 'connected' });
    expect(structuredContent).toMatchObject({ agents: [{}, {}] });
    expect(first.log()).not.toContain('not connected');
  });

  it('can be renewed with an agent of Tomo’s own, which is told of the new one', async () => {
    const directory = started.directory();
    const files = writeKeyPair(directory, await newServerCertificate(['tomo.example']));
    const args = ['--tls-cert', files.cert, '--tls-key', files.key];
    const server = await startServer(started, { tls: true, args });
    const { dataDir, port } = server;
    const more = [...args, '--local-agent'];
    const standby = await startServer(started, { dataDir, port, tls: true, args: more });
    await standby.program.line('"msg":"connected"');
    const fresh = await newServerCertificate(['tomo.example']);
    writeKeyPair(directory, fresh);
    await server.program.line(fingerprintOf(fresh));
    const since = standby.program.lineCount();
    await server.program.stop('SIGTERM');
    await standby.program.line('"msg":"connected"', since);
  });

  it('stay as they were while what is on disk cannot be used, which is said once', async () => {
    const directory = started.directory();
    const pair = await newServerCertificate(['127.0.0.1']);
    const files = writeKeyPair(directory, pair);
    const args = ['--tls-cert', files.cert, '--tls-key', files.key];
    const server = await startServer(started, { tls: true, args });
    rmSync(files.key);
    await server.program.line('cannot be used; the old one stays');
    expect(await shownFingerprint(server)).toBe(fingerprintOf(pair));
    const fresh = await newServerCertificate(['127.0.0.1']);
    writeKeyPair(directory, fresh);
    await vi.waitFor(
      async () => expect(await shownFingerprint(server)).toBe(fingerprintOf(fresh)),
      20_000,
    );
    const said = server.program.log().split('the old one stays');
    expect(said).toHaveLength(2);
  });
});
