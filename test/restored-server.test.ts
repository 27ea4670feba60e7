import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from './support/hub.ts';
import type { TestClient } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { connect, startAgent, startServer } from './support/tomo.ts';

const started = new Started();
afterEach(() => started[Symbol.asyncDispose]());

async function tomo(...args: string[]): Promise<string> {
  const program = started.tomo(args);
  expect(await program.ended, program.log()).toBe(0);
  return program.log();
}

async function becomes(client: TestClient, serverId: string, facts: object): Promise<void> {
  await eventually(async () => {
    const { structuredContent } = await client.callTool('get_agent_status', {
      server_id: serverId,
    });
    expect(structuredContent).toMatchObject(facts);
  });
}

describe('a server that lost its data directory', () => {
  it('goes on from a backup: agents come back, and those with a newer token are installed anew', async () => {
    const first = await startServer(started);
    const { dataDir, port } = first;
    const client = await connect(started, 'v2-auto', first.http);
    for (const name of ['kept', 'offered', 'rotated']) {
      await startAgent(started, first, client, name);
    }
    const file = join(started.directory(), 'backup.tar');
    await tomo('backup', file, '--data-dir', dataDir);
    await rotate(client, 'rotated');
    await first.program.stop('SIGKILL');
    const second = await startServer(started, { dataDir, port });
    const after = await connect(started, 'v2-auto', second.http);
    // Used once, the new token is the only one; before that an agent keeps both.
    await becomes(after, 'rotated', { status: 'connected', token: { rotation: 'none' } });
    await becomes(after, 'offered', { status: 'connected' });
    await rotate(after, 'offered');
    await second.program.stop('SIGKILL');

    const other = started.directory();
    const said = await tomo('restore', file, '--data-dir', other);
    expect(said).toContain('install_agent');
    const restored = await startServer(started, { dataDir: other, port });
    const again = await connect(started, 'v2-auto', restored.http);
    for (const name of ['kept', 'offered']) {
      await becomes(again, name, { status: 'connected', token: { rotation: 'none' } });
    }
    await becomes(again, 'rotated', { status: 'disconnected' });
    await startAgent(started, restored, again, 'rotated');
    await becomes(again, 'rotated', { status: 'connected' });
  });
});

async function rotate(client: TestClient, server_id: string): Promise<void> {
  const { structuredContent } = await client.callTool('rotate_agent_token', { server_id });
  expect(structuredContent).toMatchObject({ status: 'stored' });
}
