import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { shownFingerprint } from './support/certificates.ts';
import { Started } from './support/processes.ts';
import {
  addToken,
  connect,
  startAgent,
  startServer,
  TEST_TOKEN,
  type TomoServer,
} from './support/tomo.ts';

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

async function tomo(...args: string[]) {
  const program = started.tomo(args);
  const code = await program.ended;
  return { code, stdout: program.output(), log: program.log() };
}

/** A backup of a running server, in a directory of its own. */
async function backUp({ dataDir }: Pick<TomoServer, 'dataDir'>): Promise<string> {
  const file = join(started.directory(), 'tomo.tar');
  const { code, stdout } = await tomo('backup', file, '--data-dir', dataDir);
  expect(code).toBe(0);
  expect(stdout).toBe(`${file}\n`);
  return file;
}

describe('tomo backup and tomo restore', () => {
  it('move a running Tomo to another directory: agents, tokens and history are there', async () => {
    const server = await startServer(started);
    const { port } = server;
    const client = await connect(started, 'v2-auto', server.http);
    const agent = await startAgent(started, server, client, 'web-1');
    const token = await addToken(started, server, 'ci', 'read');
    const file = await backUp(server);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const since = agent.lineCount();
    await server.program.stop('SIGTERM');

    const dataDir = join(started.directory(), 'restored');
    const restored = await tomo('restore', file, '--data-dir', dataDir);
    expect(restored).toMatchObject({ code: 0, stdout: '' });
    await startServer(started, { dataDir, port });
    await agent.line('"connected"', since);
    const reader = await connect(started, 'v1', { url: `${server.url}/mcp`, token });
    await vi.waitFor(async () => {
      const { structuredContent } = await reader.callTool('list_agents', {});
      expect(structuredContent).toMatchObject({
        agents: [{ server_id: 'web-1', status: 'connected' }],
      });
    }, 20_000);
  });

  it('keep the certificate that agents are held to', async () => {
    const options = { tls: true, args: ['--tls-self-signed'] };
    const server = await startServer(started, options);
    const file = await backUp(server);
    const before = await shownFingerprint(server);
    await server.program.stop('SIGTERM');
    const dataDir = started.directory();
    expect((await tomo('restore', file, '--data-dir', dataDir)).code).toBe(0);
    const again = await startServer(started, { ...options, dataDir, port: server.port });
    expect(await shownFingerprint(again)).toBe(before);
  });

  it('refuse a directory that a server uses: exit 1, one line, nothing changed', async () => {
    const server = await startServer(started);
    const file = await backUp(server);
    const refused = await tomo('restore', file, '--replace', '--data-dir', server.dataDir);
    expect(refused.code).toBe(1);
    expect(refused.log.split('\n')).toHaveLength(1);
    const client = await connect(started, 'v2-auto', { ...server.http, token: TEST_TOKEN });
    expect((await client.callTool('list_agents', {})).isError ?? false).toBe(false);
  });

  it('refuse a directory with a database, and with --replace move it aside', async () => {
    const server = await startServer(started);
    const file = await backUp(server);
    await server.program.stop('SIGTERM');
    const { dataDir } = server;
    const refused = await tomo('restore', file, '--data-dir', dataDir);
    expect(refused.code).toBe(1);
    expect(refused.log).toContain('--replace');
    const replaced = await tomo('restore', file, '--replace', '--data-dir', dataDir);
    expect(replaced.code).toBe(0);
    const aside = readdirSync(dataDir).filter((name) => name.includes('.before-restore-'));
    expect(aside.length).toBeGreaterThan(0);
    for (const name of aside) expect(replaced.log).toContain(name);
  });

  it.each([
    ['backup without a file', ['backup'], 'FILE'],
    ['backup with two', ['backup', 'a', 'b'], 'FILE'],
    ['restore without a file', ['restore'], 'FILE'],
    ['a flag of the other', ['backup', 'a', '--replace'], '--replace'],
  ])('%s: exit 2, one line', async (_, args, named) => {
    const { code, log } = await tomo(...args);
    expect(code).toBe(2);
    expect(log).toContain(named);
    expect(log.split('\n')).toHaveLength(1);
  });

  it('a file that is there already, or is no backup: exit 1, one line, left as it is', async () => {
    const server = await startServer(started);
    const file = join(started.directory(), 'notes.txt');
    writeFileSync(file, 'not a backup');
    const calls = [
      ['backup', file, '--data-dir', server.dataDir],
      ['restore', file, '--data-dir', started.directory()],
      ['restore', join(started.directory(), 'nowhere'), '--data-dir', started.directory()],
    ];
    for (const args of calls) {
      const { code, log } = await tomo(...args);
      expect(code).toBe(1);
      expect(log.split('\n')).toHaveLength(1);
    }
    expect(statSync(file).size).toBe('not a backup'.length);
  });
});
