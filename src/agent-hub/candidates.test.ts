import { describe, expect, it } from 'vitest';
import {
  answerPing,
  FOREVER,
  issueTicket,
  PRESENT,
  parkCandidate,
} from '../../test/support/candidate.ts';
import { type FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';

const eventTypes = async (test: TestHub, agentId: string) => {
  await test.hub.telemetry.flush();
  const events = await test.database.db.events.recent(agentId, 20);
  return events.map(({ type }) => type);
};

/** A call that the agent's current process answers. */
async function expectAnsweredBy(test: TestHub, agentId: string, agent: FakeAgent) {
  const call = test.call(agentId);
  agent.answer((await agent.request()).id, PONG);
  await expect(call).resolves.toEqual(PONG);
}

describe('a parked candidate', () => {
  it('is told that it is one, and the agent stays as it was', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const before = await test.row(agentId);
    const connected = test.hub.connected(agentId);
    const candidate = await parkCandidate(test, agentId);
    expect(candidate.welcome).toMatchObject({
      type: 'registered',
      agent_id: agentId,
      token: expect.any(String),
      candidate: true,
    });
    expect(await test.row(agentId)).toEqual(before);
    expect(test.hub.connected(agentId)).toBe(connected);
    expect(test.hub.counters).toMatchObject({ connected: 1, superseded: 0 });
    await expectAnsweredBy(test, agentId, agent);
  });

  it('is pinged and reports nothing', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const { agent } = await parkCandidate(test, agentId);
    expect(await agent.request()).toMatchObject({ method: 'agent.ping', params: {} });
    agent.notify('health.status', { status: 'healthy', uptime: 1, version: '2' });
    agent.notify('agent.event', { type: 'intruder' });
    agent.send({ jsonrpc: '2.0', id: 'q', method: 'hub.anything' });
    expect(await agent.nextWhere((message) => message['id'] === 'q')).toHaveProperty('error');
    expect(test.hub.telemetry.latestHealth(agentId)).toBeUndefined();
    expect(await eventTypes(test, agentId)).toEqual(['candidate', 'registered']);
  });

  it.each([
    ['something else', { result: { status: 3 } }],
    ['an error', { error: { code: -32_601, message: 'no such method' } }],
  ])('that answers %s is closed with 4001, and the agent stays', async (_title, answer) => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    const { id } = await candidate.agent.request();
    candidate.agent.send({ jsonrpc: '2.0', id, ...answer });
    expect(await ended).toBe('dropped');
    expect((await candidate.agent.closed).code).toBe(4001);
    await expectAnsweredBy(test, agentId, agent);
  });

  it('that never answers is closed with 4001 when its time is over', async () => {
    const test = await startHub({ timings: { promotionPingMs: 50 } });
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    expect(await ended).toBe('dropped');
    expect((await candidate.agent.closed).code).toBe(4001);
    await expectAnsweredBy(test, agentId, agent);
  });

  it('that dies is dropped at once, and the agent stays connected', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    candidate.agent.cut();
    expect(await ended).toBe('dropped');
    await expectAnsweredBy(test, agentId, agent);
    expect(await test.row(agentId)).toMatchObject({ status: 'connected' });
    expect(await eventTypes(test, agentId)).toEqual(['candidate_left', 'candidate', 'registered']);
  });

  it('that is silent is cut off like any agent', async () => {
    const timings = { sweepMs: 10, pingAfterMs: 30, silenceMaxMs: 100 };
    const test = await startHub({ timings });
    const { agentId } = await test.join('web-1', PRESENT);
    const agent = await test.dial({ autoPong: false });
    const code = await issueTicket(test, agentId);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    await agent.hello({ type: 'register', code, version: '2', ...PRESENT });
    expect(await ended).toBe('dropped');
    expect((await agent.closed).code).toBe(1006);
  });

  it('gives its place to a newer one, and is closed with 4003', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const first = await parkCandidate(test, agentId);
    const { id } = await first.agent.request();
    const second = await parkCandidate(test, agentId);
    first.agent.answer(id, PONG);
    expect((await first.agent.closed).code).toBe(4003);
    expect((await test.rejoin(first.token)).welcome).toMatchObject({ code: 'TOKEN_UNKNOWN' });
    await answerPing(second.agent);
    expect(await ended).toBe('promoted');
    expect(test.hub.connected(agentId)?.hello.version).toBe('2.0.0');
  });

  it('comes back with its token and is tried again', async () => {
    const test = await startHub({ timings: { promotionPingMs: 50 } });
    const { agentId } = await test.join('web-1', PRESENT);
    const { agent, token } = await parkCandidate(test, agentId);
    expect((await agent.closed).code).toBe(4001);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const again = await test.rejoin(token, PRESENT);
    expect(again.welcome).toMatchObject({ type: 'authenticated', candidate: true });
    await answerPing(again.agent);
    expect(await ended).toBe('promoted');
  });
});

describe('the end of a candidacy', () => {
  it('comes with dropCandidate: its socket is closed, its token void', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    const { id } = await candidate.agent.request();
    expect(await test.hub.dropCandidate(agentId)).toBe(true);
    expect(await ended).toBe('dropped');
    candidate.agent.answer(id, PONG);
    expect((await candidate.agent.closed).code).toBe(4001);
    expect((await test.rejoin(candidate.token)).welcome).toMatchObject({ code: 'TOKEN_UNKNOWN' });
    await expectAnsweredBy(test, agentId, agent);
    expect(await test.hub.dropCandidate(agentId)).toBe(false);
  });

  it('comes with dropCandidate also when the candidate answers in the middle of it', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const { agent } = await parkCandidate(test, agentId);
    const { id } = await agent.request();
    const { agents } = test.database.db;
    const drop = agents.dropCandidate.bind(agents);
    agents.dropCandidate = async (dropped) => {
      agent.answer(id, PONG);
      await eventually(() => expect(test.hub.counters.callsInFlight).toBe(0));
      return drop(dropped);
    };
    expect(await test.hub.dropCandidate(agentId)).toBe(true);
    expect((await agent.closed).code).toBe(4001);
    expect(test.hub.connected(agentId)?.hello.version).toBe('1.0.0');
  });

  it('comes with a fresh code for the agent: it is not promoted, and closed with 4001', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const candidate = await parkCandidate(test, agentId);
    await test.install('web-1');
    await answerPing(candidate.agent);
    expect((await candidate.agent.closed).code).toBe(4001);
    await expectAnsweredBy(test, agentId, agent);
  });

  it('comes with a revocation, which closes agent and candidate with 4002', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    expect(await test.hub.revoke(agentId)).toBe(true);
    expect(await ended).toBe('dropped');
    expect((await agent.closed).code).toBe(4002);
    expect((await candidate.agent.closed).code).toBe(4002);
    expect((await test.rejoin(candidate.token)).welcome).toMatchObject({ code: 'TOKEN_UNKNOWN' });
    await eventually(() => expect(test.openConnections).toBe(0));
    expect(await test.row(agentId)).toMatchObject({ status: 'revoked' });
  });

  it('comes with a database that refuses, which closes it with 1011 to come back soon', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId);
    test.database.client.exec('PRAGMA query_only = ON');
    await answerPing(candidate.agent);
    expect(await ended).toBe('dropped');
    expect((await candidate.agent.closed).code).toBe(1011);
    await expectAnsweredBy(test, agentId, agent);
  });

  it('is not waited for when the waiter gives up', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1');
    const giveUp = new AbortController();
    const ended = expect(test.hub.waitForPromotion(agentId, giveUp.signal)).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
    });
    giveUp.abort();
    await ended;
    await expect(test.hub.waitForPromotion(agentId, giveUp.signal)).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
    });
  });
});

describe('a ticket', () => {
  it('is good once', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const code = await issueTicket(test, agentId);
    const hello = { type: 'register', code, version: '2', ...PRESENT };
    expect(await (await test.dial()).hello(hello)).toMatchObject({ candidate: true });
    const second = await test.dial();
    expect(await second.hello(hello)).toMatchObject({ code: 'CODE_USED' });
    expect((await second.closed).code).toBe(4001);
  });

  it('is refused when its time is over', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const code = await issueTicket(test, agentId, 0);
    const answer = await (await test.dial()).hello({ type: 'register', code, version: '2' });
    expect(answer).toMatchObject({ code: 'CODE_EXPIRED' });
  });
});
