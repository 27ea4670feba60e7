import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { answering, expectNoSurprise } from '../support/commands.ts';
import { requirePart } from '../support/docker-engine.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { eventually } from '../support/hub.ts';
import { isInstalled, isRoot } from '../support/installed.ts';
import { type InstalledAgent, installAgent, socketUrl } from '../support/installed-agent.ts';
import type { TestClient } from '../support/mcp-client.ts';
import { Started } from '../support/processes.ts';
import { sized } from '../support/test-size.ts';
import { connect, startServer } from '../support/tomo.ts';
import { onMachine, wrappedAgent } from '../support/wrapped-agent.ts';

const turnsSchema = z.object({ taking_turns: z.number() });

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

const canBeElsewhere = requirePart(
  'machine',
  isRoot() && isInstalled('unshare', 'mount') ? true : undefined,
  'another machine-id needs root and a mount namespace',
);

it.runIf(canBeElsewhere)(
  'a copied data directory is refused on another machine, seen there, and harms nobody',
  async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const installed = await installAgent(started, server, client, 'web-1');
    const agent = await installed.start();

    const copy = wrappedAgent(started, elsewhere(), copyOf(installed));
    expect(await copy.line('not connected')).toContain('4004');
    expect(await duplicates(client)).toMatchObject({
      refused: 1,
      addresses: ['127.0.0.1'],
      next_step: expect.stringContaining('accept_machine'),
    });
    await answering(client, 'web-1');
    expect(agent.log()).not.toContain('disconnected');

    // Also while the agent itself is away: a stolen volume does not get its turn.
    await agent.stop('SIGKILL');
    await copy.stop('SIGKILL');
    const second = wrappedAgent(started, elsewhere(), copyOf(installed));
    expect(await second.line('not connected')).toContain('4004');
    expect(await duplicates(client)).toMatchObject({ refused: 2 });
    await installed.start();
    await answering(client, 'web-1');
    expectNoSurprise(server);
  },
);

it('two processes on copies of one machine take turns, and that is reported', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const { code } = await installAgent(started, server, client, 'web-1');
  const host = { machine_id: 'm-1', engine_id: 'e-1' };
  const hello = { version: '1.0.0', protocol: 1, host };
  const first = await FakeAgent.dial(socketUrl(server));
  const welcome = await first.hello({ type: 'register', code, ...hello, instance_id: 'a' });
  const token = String(welcome['token']);
  for (const instance_id of ['b', 'a', 'b']) {
    const next = await FakeAgent.dial(socketUrl(server));
    await next.hello({ type: 'authenticate', token, ...hello, instance_id });
  }
  await eventually(async () =>
    expect(await duplicates(client)).toMatchObject({ refused: 0, taking_turns: 2 }),
  );
});

// A superseded agent waits a minute before it dials again.
it.runIf(sized({ short: false, full: true }))(
  'so do two real agents with one data directory’s copies',
  { timeout: 300_000 },
  async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const installed = await installAgent(started, server, client, 'web-1');
    await installed.start();
    await started.agent(copyOf(installed)).line('"connected"');
    const isReported = async (): Promise<boolean> => (await turnsTaken(client)) > 0;
    await vi.waitUntil(isReported, { timeout: 240_000, interval: 500 });
  },
);

function copyOf(installed: InstalledAgent): Record<string, string> {
  const DATA_DIR = join(started.directory(), 'agent');
  cpSync(installed.dataDir, DATA_DIR, { recursive: true });
  return { ...installed.environment, DATA_DIR };
}

function elsewhere(): string[] {
  const file = join(started.directory(), 'machine-id');
  writeFileSync(file, `${'0123456789abcdef'.repeat(2)}\n`);
  return onMachine(file);
}

async function turnsTaken(client: TestClient): Promise<number> {
  return turnsSchema.parse(await duplicates(client)).taking_turns;
}

async function duplicates(client: TestClient): Promise<unknown> {
  const status = await client.callTool('get_agent_status', { server_id: 'web-1' });
  return status.structuredContent?.['duplicates'];
}
