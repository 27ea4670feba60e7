import { describe, expect, it } from 'vitest';
import { answerPing, PRESENT, parkCandidate } from '../../test/support/candidate.ts';
import { PONG } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';

const WEB = { hostname: 'web', machine_id: 'm1', engine_id: 'e1' };
const NONE = { refused: 0, takingTurns: 0, addresses: [] };

const at = (host: object, more: object = {}) => ({ ...PRESENT, host, ...more });

async function expectRefusal(test: TestHub, token: string, hello: object): Promise<void> {
  const { agent, welcome } = await test.rejoin(token, { ...hello });
  expect(welcome).toMatchObject({ code: 'CLONE_REFUSED' });
  expect((await agent.closed).code).toBe(4004);
}

async function eventsOf(test: TestHub, agentId: string, type: string) {
  await test.hub.telemetry.flush();
  const events = await test.database.db.events.recent(agentId, 1_000);
  return events.filter((event) => event.type === type);
}

describe('the token of an agent on another machine', () => {
  it.each([
    ['machine_id', { ...WEB, machine_id: 'm2' }],
    ['engine_id', { ...WEB, engine_id: 'e2' }],
    ['machine_id, the engine unknown', { machine_id: 'm2' }],
    ['engine_id, the machine unknown', { engine_id: 'e2' }],
  ])(
    'is refused by its %s while the agent is connected, which is not disturbed',
    async (_, host) => {
      const test = await startHub();
      const { agent, agentId, token } = await test.join('web-1', at(WEB));
      const before = await test.row(agentId);
      const { writes } = test;
      await expectRefusal(test, token, at(host));
      expect(test.writes).toBe(writes);
      expect(await test.row(agentId)).toEqual(before);
      const call = test.call(agentId, { id: 'c1' });
      await agent.request();
      agent.answer('c1', PONG);
      await expect(call).resolves.toBeDefined();
      expect(test.hub.counters).toMatchObject({ connected: 1, superseded: 0, clonesRefused: 1 });
    },
  );

  it('is refused while the agent is away, whose row stays as it is', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1', at(WEB));
    agent.cut();
    await eventually(async () => expect((await test.row(agentId))?.status).toBe('disconnected'));
    const before = await test.row(agentId);
    const { writes } = test;
    await expectRefusal(test, token, at({ ...WEB, machine_id: 'm2' }));
    expect(test.writes).toBe(writes);
    expect(await test.row(agentId)).toEqual(before);
    expect(test.hub.connected(agentId)).toBeUndefined();
    expect((await test.rejoin(token, at(WEB))).welcome).toMatchObject({ type: 'authenticated' });
  });

  it('is refused also if a rotation has only offered it, and stays pending', async () => {
    const test = await startHub();
    const able = { capabilities: ['agent.rotate_token'] };
    const { agent, agentId } = await test.join('web-1', at(WEB, able));
    const rotation = test.hub.rotateToken(agentId, { graceMs: 60_000 });
    const { id, params } = await agent.request();
    agent.answer(id, { status: 'stored' });
    await rotation;
    await expectRefusal(test, String(params['token']), at({ machine_id: 'm2' }));
    expect(await test.row(agentId)).toMatchObject({ hasPendingToken: true });
  });

  it('is told that it is revoked if it is', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', at(WEB));
    await test.hub.revoke(agentId);
    const { agent } = await test.rejoin(token, at({ machine_id: 'm2' }));
    expect((await agent.closed).code).toBe(4002);
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
  });

  it('is counted with its addresses, its host and one event a minute', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', at(WEB));
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
    for (const machine_id of ['m2', 'm3']) await expectRefusal(test, token, at({ machine_id }));
    expect(test.hub.duplicates(agentId)).toEqual({
      refused: 2,
      takingTurns: 0,
      addresses: ['127.0.0.1'],
      lastAt: expect.any(Number),
      lastHost: { machine_id: 'm3' },
    });
    const [event, ...more] = await eventsOf(test, agentId, 'clone_refused');
    expect(event?.detail).toMatchObject({ address: '127.0.0.1', host: { machine_id: 'm2' } });
    expect(more).toEqual([]);
    expect(test.logged).toContainEqual(expect.objectContaining({ level: 40, server: 'web-1' }));
  });

  it('is refused 50 times at the same time as often as it comes', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', at(WEB));
    const uses = Array.from({ length: 50 }, (_, i) =>
      test.rejoin(token, at({ machine_id: i % 2 === 0 ? 'm1' : 'm2' })),
    );
    const types = (await Promise.all(uses)).map(({ welcome }) => welcome['type']);
    expect(types.filter((type) => type === 'authenticated')).toHaveLength(25);
    expect(test.hub.duplicates(agentId).refused).toBe(25);
    expect(test.hub.counters.connected).toBe(1);
  });
});

describe('the machine of an agent', () => {
  it('is learnt field by field, and never unlearnt', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', at({ hostname: 'web', machine_id: '' }));
    expect(await test.row(agentId)).toMatchObject({ identity: null });
    const told = [{ engine_id: 'e1' }, { machine_id: 'm1' }, { hostname: 'other' }, {}];
    for (const host of told) {
      expect((await test.rejoin(token, at(host))).welcome['type']).toBe('authenticated');
    }
    expect((await test.rejoin(token)).welcome['type']).toBe('authenticated');
    expect(await test.row(agentId)).toMatchObject({
      identity: { machine_id: 'm1', engine_id: 'e1' },
    });
    await expectRefusal(test, token, at({ machine_id: 'm2' }));
  });

  it('is not compared for agents that do not tell it', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1');
    expect((await test.rejoin(token)).welcome['type']).toBe('authenticated');
    expect(await test.row(agentId)).toMatchObject({ identity: null });
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
  });

  it('is another one after a registration, from which the counts begin anew', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', at(WEB));
    await expectRefusal(test, token, at({ machine_id: 'm2' }));
    const moved = await test.join('web-1', at({ machine_id: 'm2' }));
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
    expect(await test.row(agentId)).toMatchObject({ identity: { machine_id: 'm2' } });
    await expectRefusal(test, moved.token, at(WEB));
  });

  it('is that of a candidate once it is promoted, and not before', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', at(WEB));
    await expectRefusal(test, token, at({ machine_id: 'm3' }));
    const { agent } = await parkCandidate(test, agentId, { host: { machine_id: 'm2' } });
    expect(await test.row(agentId)).toMatchObject({ identity: { machine_id: 'm1' } });
    await answerPing(agent);
    await agent.nextWhere(({ method }) => method === '$/promoted');
    expect(await test.row(agentId)).toMatchObject({ identity: { machine_id: 'm2' } });
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
  });
});

describe('the token of a candidate', () => {
  it('is refused from another machine than the one that traded the ticket', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', at(WEB));
    const parked = await parkCandidate(test, agentId, at({ machine_id: 'm2' }));
    parked.agent.cut();
    await expectRefusal(test, parked.token, at({ machine_id: 'evil' }));
    expect(test.hub.duplicates(agentId).refused).toBe(1);
    expect(await test.row(agentId)).toMatchObject({ identity: { machine_id: 'm1' } });
    const back = await test.rejoin(parked.token, { ...PRESENT, ...at({ machine_id: 'm2' }) });
    expect(back.welcome).toMatchObject({ candidate: true });
  });
});

describe('accepting a machine', () => {
  it('lets the one in that was refused last, and keeps the former one out', async () => {
    const test = await startHub();
    const { agent: former, agentId, token } = await test.join('web-1', at(WEB));
    for (const machine_id of ['m2', 'm3']) await expectRefusal(test, token, at({ machine_id }));
    expect(await test.hub.acceptMachine(agentId, 'm2')).toBe(false);
    expect(await test.hub.acceptMachine(agentId, 'm3')).toBe(true);
    expect(await test.row(agentId)).toMatchObject({ identity: { machine_id: 'm3' } });
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
    const moved = await test.rejoin(token, at({ machine_id: 'm3' }));
    expect(moved.welcome).toMatchObject({ type: 'authenticated', agent_id: agentId });
    expect((await former.closed).code).toBe(4003);
    await expectRefusal(test, token, at(WEB));
  });

  it('answers false when none was refused', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', at(WEB));
    const { writes } = test;
    expect(await test.hub.acceptMachine(agentId, 'm2')).toBe(false);
    expect(await test.hub.acceptMachine('absent', 'm2')).toBe(false);
    expect(test.writes).toBe(writes);
  });
});

describe('two processes on what looks like one machine', () => {
  const process = (instance_id: string) => at(WEB, { instance_id });

  it('are noticed when they replace each other in turn', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', process('p1'));
    await test.rejoin(token, process('p2'));
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
    await test.rejoin(token, process('p1'));
    await test.rejoin(token, process('p2'));
    expect(test.hub.duplicates(agentId)).toEqual({
      refused: 0,
      takingTurns: 2,
      addresses: ['127.0.0.1'],
      lastAt: expect.any(Number),
    });
    expect(test.hub.counters).toMatchObject({ connected: 1, takingTurns: 2 });
    const [event, ...more] = await eventsOf(test, agentId, 'taking_turns');
    expect(event?.detail).toMatchObject({ address: '127.0.0.1', instance_id: 'p1', count: 1 });
    expect(more).toEqual([]);
    expect(test.logged).toContainEqual(expect.objectContaining({ level: 40, server: 'web-1' }));
  });

  it('are not one process that lost its socket, nor one after the other', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', process('p1'));
    for (const id of ['p1', 'p1', 'p2', 'p3', 'p3']) await test.rejoin(token, process(id));
    await test.rejoin(token, at(WEB));
    await test.rejoin(token, at(WEB));
    expect(test.hub.counters).toMatchObject({ superseded: 7, takingTurns: 0 });
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
  });

  it('can be no machine to accept', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', process('p1'));
    for (const id of ['p2', 'p1']) await test.rejoin(token, process(id));
    expect(test.hub.duplicates(agentId).takingTurns).toBe(1);
    expect(await test.hub.acceptMachine(agentId, 'm1')).toBe(false);
  });

  it('are forgotten with the agent', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', process('p1'));
    for (const id of ['p2', 'p1']) await test.rejoin(token, process(id));
    await test.hub.revoke(agentId);
    await test.hub.forget({ id: agentId, serverId: 'web-1' });
    expect(test.hub.duplicates(agentId)).toEqual(NONE);
  });
});
