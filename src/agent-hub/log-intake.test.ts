import { describe, expect, it } from 'vitest';
import { LOG_BATCHES_MAX_COUNT } from '../../protocol/limits.ts';
import { answerPing, FOREVER, parkCandidate } from '../../test/support/candidate.ts';
import type { FakeAgent, Message } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';
import { parseLogLines } from '../db/log-repository.ts';

const HELLO = { protocol: 1, instance_id: 'i1' };

async function collecting(test: TestHub, serverId = 'web-1') {
  await test.database.db.settings.set({ agent_log_collection: '"all"' }, Date.now());
  return await test.join(serverId, HELLO);
}

function push(agent: FakeAgent, batch: number, ...texts: string[]): void {
  const lines = texts.map((text, n) => ({
    container: 0,
    stream: 'stdout',
    at: '1700000000000000000',
    n,
    text,
  }));
  agent.notify('logs.push', { epoch: 'e', batch, containers: [{ id: 'c1', name: 'web' }], lines });
}

async function ack(agent: FakeAgent): Promise<unknown> {
  return (await agent.nextWhere(({ method }) => method === 'logs.ack'))['params'];
}

async function stored({ database }: TestHub): Promise<string[]> {
  const rows = await database.db.logs.list({ limit: 1_000 });
  return rows.flatMap((row) => parseLogLines(row).map(({ text }) => text)).toSorted();
}

describe('log lines that an agent pushes', () => {
  it('are stored, and then acknowledged', async () => {
    const test = await startHub();
    const { agent, welcome } = await collecting(test);
    expect(welcome['log_collection']).toBe('all');
    push(agent, 1, 'one', 'two');
    expect(await ack(agent)).toEqual({ batch: 1 });
    expect(await stored(test)).toEqual(['one', 'two']);
  });

  it('lose what would do something to whoever reads them', async () => {
    const test = await startHub();
    const { agent } = await collecting(test);
    push(agent, 1, '\u001b[2J\u0000red\tok\u202egnp.exe \u009b \ud800 ä😀');
    await ack(agent);
    expect(await stored(test)).toEqual(['\\x1b[2J\\x00red\tok\\u202egnp.exe \\x9b \\ud800 ä😀']);
  });

  it('keep that lines before them are lost', async () => {
    const test = await startHub();
    const { agent } = await collecting(test);
    const line = { container: 0, stream: 'stdout', at: '1', text: 'lost', lost: true };
    const containers = [{ id: 'c1', name: 'web' }];
    agent.notify('logs.push', { epoch: 'e', batch: 1, containers, lines: [line] });
    await ack(agent);
    const [row] = await test.database.db.logs.list({ limit: 1 });
    expect(row && parseLogLines(row)).toMatchObject([{ text: 'lost', isLost: true }]);
  });

  it('are acknowledged again, and not stored again, when they come again', async () => {
    const test = await startHub();
    const { agent, token } = await collecting(test);
    push(agent, 1, 'one');
    await ack(agent);
    const { agent: again } = await test.rejoin(token, HELLO);
    push(again, 1, 'one');
    push(again, 2, 'two');
    expect(await ack(again)).toEqual({ batch: 1 });
    await ack(again);
    expect(await stored(test)).toEqual(['one', 'two']);
  });

  it('are ignored of an agent that was asked for none, or sends none that are valid', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1', HELLO);
    push(agent, 1, 'unasked');
    const other = await collecting(test, 'web-2');
    other.agent.notify('logs.push', { epoch: 'e', batch: 0 });
    other.agent.notify('logs.push', { epoch: 'e', batch: 1, lines: 'x'.repeat(300_000) });
    push(other.agent, 1, 'valid');
    await ack(other.agent);
    expect(await stored(test)).toEqual(['valid']);
  });

  it('hold up none after them when they are not valid and never will be', async () => {
    const test = await startHub();
    const { agent } = await collecting(test);
    const containers = [{ id: 'c1', name: 'x'.repeat(256) }];
    agent.notify('logs.push', { epoch: 'e', batch: 1, containers, lines: [] });
    expect(await ack(agent)).toEqual({ batch: 1 });
    agent.notify('logs.push', { epoch: 'e', batch: 2 });
    expect(await ack(agent)).toEqual({ batch: 2 });
    push(agent, 3, 'three');
    expect(await ack(agent)).toEqual({ batch: 3 });
    expect(await stored(test)).toEqual(['three']);
    const warnings = test.logged.filter(({ msg }) => String(msg).includes('not valid'));
    expect(warnings).toEqual([
      expect.objectContaining({ server: 'web-1', batch: 1, path: ['containers', 0, 'name'] }),
    ]);
  });

  it('are not taken faster than they are stored, however fast they come', async () => {
    const test = await startHub();
    const { agent } = await collecting(test);
    const count = LOG_BATCHES_MAX_COUNT * 5;
    for (let batch = 1; batch <= count; batch += 1) push(agent, batch, `line ${batch}`);
    await agent.nextWhere(
      ({ method, params }) => method === 'logs.ack' && (params as Message)['batch'] === 1,
    );
    expect((await stored(test)).length).toBeLessThan(count);
  });

  it('wait at the agent while the database takes nothing, in their order', async () => {
    const test = await startHub();
    const { agent } = await collecting(test);
    const { client } = test.database;
    client.exec(
      `CREATE TRIGGER refuse BEFORE INSERT ON log_batches BEGIN SELECT RAISE(ABORT, 'x'); END`,
    );
    push(agent, 1, 'one');
    await eventually(() =>
      expect(test.logged).toContainEqual(
        expect.objectContaining({ msg: 'log lines could not be stored' }),
      ),
    );
    client.exec('DROP TRIGGER refuse');
    // Stored now, the second would make the first one that was stored before.
    push(agent, 2, 'two');
    push(agent, 1, 'one');
    push(agent, 2, 'two');
    expect(await ack(agent)).toEqual({ batch: 1 });
    await ack(agent);
    expect(await stored(test)).toEqual(['one', 'two']);
  });

  it('are lost to no candidate that comes while the database takes nothing, and taken of it once it is promoted', async () => {
    const test = await startHub();
    const { agent, agentId } = await collecting(test);
    const { client } = test.database;
    client.exec(
      `CREATE TRIGGER refuse BEFORE INSERT ON log_batches BEGIN SELECT RAISE(ABORT, 'x'); END`,
    );
    push(agent, 1, 'one');
    await eventually(() =>
      expect(test.logged).toContainEqual(
        expect.objectContaining({ msg: 'log lines could not be stored' }),
      ),
    );
    client.exec('DROP TRIGGER refuse');
    const promotion = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    expect(candidate.welcome).toMatchObject({ log_collection: 'all' });
    push(agent, 2, 'two');
    push(agent, 1, 'one');
    expect(await ack(agent)).toEqual({ batch: 1 });
    expect(await stored(test)).toEqual(['one']);
    await answerPing(candidate.agent);
    expect(await promotion).toBe('promoted');
    push(candidate.agent, 1, 'of the candidate');
    expect(await ack(candidate.agent)).toEqual({ batch: 1 });
  });

  it('are taken of a candidate whose agent is away', async () => {
    const test = await startHub();
    const { agent, agentId } = await collecting(test);
    agent.cut();
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
    const promotion = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    await answerPing(candidate.agent);
    expect(await promotion).toBe('promoted');
    push(candidate.agent, 1, 'one');
    expect(await ack(candidate.agent)).toEqual({ batch: 1 });
  });

  it('go with the agent that is forgotten, and with its settings', async () => {
    const test = await startHub();
    const { agent, agentId } = await collecting(test);
    push(agent, 1, 'one');
    await ack(agent);
    await test.hub.setLogs(agentId, { log_collection: 'off', log_keep_mib: 1 });
    push(agent, 2, 'two');
    push(agent, 3, 'three');
    await test.hub.revoke(agentId);
    expect(await stored(test)).toEqual(['one']);
    await test.hub.forget({ id: agentId, serverId: 'web-1' });
    expect(await stored(test)).toEqual([]);
  });
});
