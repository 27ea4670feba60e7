import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { answerPing, FOREVER, PRESENT, parkCandidate } from '../../test/support/candidate.ts';
import { FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';
import { AgentHub } from './agent-hub.ts';

const EXEC = { method: 'system.exec', params: { command: 'sleep 1' } };
const DONE = { stdout: 'done', stderr: '', exit_code: 0, scope: 'host' };
const REPLACED = { code: 4003 };

/** An agent whose candidate has been promoted. */
async function replaced(test: TestHub, hello: object = PRESENT) {
  const older = await test.join('web-1', { ...hello });
  const ended = test.hub.waitForPromotion(older.agentId, FOREVER);
  const newer = await parkCandidate(test, older.agentId);
  await answerPing(newer.agent);
  expect(await ended).toBe('promoted');
  return { agentId: older.agentId, older, newer };
}

describe('a promoted candidate', () => {
  it('is told so before its first call, and is the agent from then on', async () => {
    const test = await startHub();
    const { agentId, older, newer } = await replaced(test);
    const call = test.call(agentId, { id: 'c1' });
    expect(await newer.agent.next()).toEqual({ jsonrpc: '2.0', method: '$/promoted', params: {} });
    expect(await newer.agent.next()).toMatchObject({ id: 'c1', method: 'agent.ping' });
    newer.agent.answer('c1', PONG);
    await expect(call).resolves.toEqual(PONG);
    expect(await test.row(agentId)).toMatchObject({ status: 'connected', version: '2.0.0' });
    expect(test.hub.connected(agentId)?.hello.version).toBe('2.0.0');
    expect(await older.agent.closed).toMatchObject(REPLACED);
    await eventually(() => expect(test.openConnections).toBe(1));
    expect(await test.row(agentId)).toMatchObject({ status: 'connected' });
    await test.hub.telemetry.flush();
    const events = await test.database.db.events.recent(agentId, 9);
    expect(events.map(({ type }) => type)).toEqual([
      'disconnected',
      'promoted',
      'candidate',
      'registered',
    ]);
  });

  it('comes back with its token like any agent; the older process is told that it was replaced', async () => {
    const test = await startHub();
    const { older, newer } = await replaced(test);
    const again = await test.rejoin(newer.token, PRESENT);
    expect(again.welcome).toMatchObject({ type: 'authenticated' });
    expect(again.welcome).not.toHaveProperty('candidate');
    const gone = await test.rejoin(older.token, PRESENT);
    expect(gone.welcome).toMatchObject({ code: 'AGENT_REVOKED' });
    expect((await gone.agent.closed).code).toBe(4002);
  });

  it('takes the place of an agent that is away', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    agent.cut();
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
    const here = test.hub.waitForConnection(agentId, { signal: FOREVER });
    const candidate = await parkCandidate(test, agentId);
    expect(test.hub.connected(agentId)).toBeUndefined();
    await answerPing(candidate.agent);
    expect(await here).toMatchObject({ agentId, hello: { version: '2.0.0' } });
    expect(await test.row(agentId)).toMatchObject({ status: 'connected' });
  });

  it('that speaks only the first deployment’s messages gets no others', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const candidate = await parkCandidate(test, agentId, { protocol: undefined });
    expect(candidate.welcome).not.toHaveProperty('candidate');
    await answerPing(candidate.agent);
    expect(await ended).toBe('promoted');
    const call = test.call(agentId, { id: 'c1' });
    expect(await candidate.agent.next()).toMatchObject({ id: 'c1' });
    candidate.agent.answer('c1', PONG);
    await call;
  });

  it('that dies while the database promotes it is the agent all the same, and away', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const { agents } = test.database.db;
    const promote = agents.promote.bind(agents);
    const candidate = await parkCandidate(test, agentId);
    agents.promote = async (promotion) => {
      const promoted = await promote(promotion);
      candidate.agent.cut();
      await eventually(() => expect(test.openConnections).toBe(1));
      return promoted;
    };
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    await answerPing(candidate.agent);
    expect(await ended).toBe('promoted');
    expect(await agent.closed).toMatchObject(REPLACED);
    await eventually(async () =>
      expect(await test.row(agentId)).toMatchObject({ status: 'disconnected', version: '2.0.0' }),
    );
    const { welcome } = await test.rejoin(candidate.token, PRESENT);
    expect(welcome).toMatchObject({ type: 'authenticated' });
    expect(welcome).not.toHaveProperty('candidate');
  });
});

describe('calls during a promotion', () => {
  it('are answered every time, by either process', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const counts = { older: 0, newer: 0 };
    answerAll(agent, () => (counts.older += 1));
    const calls: Promise<unknown>[] = [];
    const timer = setInterval(() => calls.push(test.call(agentId)), 2);
    onTestFinished(() => clearInterval(timer));
    await eventually(() => expect(counts.older).toBeGreaterThan(20));
    const candidate = await parkCandidate(test, agentId);
    answerAll(candidate.agent, () => (counts.newer += 1));
    await eventually(() => expect(counts.newer).toBeGreaterThan(20));
    clearInterval(timer);
    expect(await agent.closed).toMatchObject(REPLACED);
    expect(await Promise.all(calls)).toEqual(calls.map(() => PONG));
    // Beside these the candidate answered the ping that it was promoted for.
    expect(counts.older + counts.newer).toBe(calls.length + 1);
  });

  it('under way at the older process are answered through its own socket', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const long = test.call(agentId, { id: 'long', ...EXEC });
    await agent.request();
    const candidate = await parkCandidate(test, agentId);
    await answerPing(candidate.agent);
    expect(await agent.next()).toEqual({ jsonrpc: '2.0', method: '$/retire', params: {} });
    const short = test.call(agentId, { id: 'short' });
    expect(await candidate.agent.request()).toMatchObject({ id: 'short' });
    candidate.agent.answer('short', PONG);
    await expect(short).resolves.toEqual(PONG);
    expect(agent.socket.readyState).toBe(agent.socket.OPEN);
    agent.answer('long', DONE);
    await expect(long).resolves.toEqual(DONE);
    expect(await agent.closed).toMatchObject(REPLACED);
    expect(test.hub.counters).toMatchObject({ connected: 1, callsInFlight: 0 });
  });

  it('fail when the older process takes too long to finish', async () => {
    const test = await startHub({ timings: { retireMaxMs: 50 } });
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const long = expect(test.call(agentId, EXEC)).rejects.toMatchObject({
      name: 'CONNECTION_LOST',
    });
    await agent.request();
    await answerPing((await parkCandidate(test, agentId)).agent);
    expect(await agent.closed).toMatchObject(REPLACED);
    await long;
    expect(test.hub.connected(agentId)).toBeDefined();
  });

  it('are waited for without $/retire at an agent of the first deployment', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1');
    const long = test.call(agentId, { id: 'long', ...EXEC });
    const heard: unknown[] = [];
    agent.socket.on('message', (data) => heard.push(data));
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    await answerPing((await parkCandidate(test, agentId)).agent);
    expect(await ended).toBe('promoted');
    agent.answer('long', DONE);
    await expect(long).resolves.toEqual(DONE);
    expect(await agent.closed).toMatchObject(REPLACED);
    expect(heard).toHaveLength(1);
  });

  it('fail at a replaced process when the agent is revoked, which both learn', async () => {
    const test = await startHub();
    const { agentId, agent } = await test.join('web-1', PRESENT);
    const long = expect(test.call(agentId, EXEC)).rejects.toMatchObject({ name: 'AGENT_REVOKED' });
    const candidate = await parkCandidate(test, agentId);
    await answerPing(candidate.agent);
    await candidate.agent.nextWhere(({ method }) => method === '$/promoted');
    await test.hub.revoke(agentId);
    await long;
    expect((await agent.closed).code).toBe(4002);
    expect((await candidate.agent.closed).code).toBe(4002);
  });
});

describe('a hub that ends while a candidate is parked', () => {
  it('sends it 1012; the next hub parks it again and promotes it', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', PRESENT);
    const ended = test.hub.waitForPromotion(agentId, FOREVER);
    const { agent, token: ticketed } = await parkCandidate(test, agentId);
    await test.hub.close();
    expect(await ended).toBe('dropped');
    expect((await agent.closed).code).toBe(1012);
    const { hub, url } = await nextHub(test);
    const older = await FakeAgent.dial(url);
    expect(await older.hello({ type: 'authenticate', token, ...PRESENT })).toMatchObject({
      type: 'authenticated',
    });
    const promoted = hub.waitForPromotion(agentId, FOREVER);
    const again = await FakeAgent.dial(url);
    expect(await again.hello({ type: 'authenticate', token: ticketed, ...PRESENT })).toMatchObject({
      type: 'authenticated',
      candidate: true,
    });
    await answerPing(again);
    expect(await promoted).toBe('promoted');
    expect(await older.closed).toMatchObject(REPLACED);
  });
});

/** One more hub on a hub's database, as the next process. */
async function nextHub({ database }: TestHub): Promise<{ hub: AgentHub; url: string }> {
  const hub = new AgentHub({ db: database.db, log: pino({ level: 'silent' }) });
  await hub.start();
  const server = createServer().on('upgrade', (...upgrade) => hub.accept(...upgrade));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(async () => {
    await hub.close();
    hub.terminate();
    server.close();
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- listens on a TCP port
  const { port } = server.address() as AddressInfo;
  return { hub, url: `ws://127.0.0.1:${port}/ws/agent` };
}

/** Answers every request of the hub with a pong from now on. */
function answerAll(agent: FakeAgent, onAnswer: () => void): void {
  void (async () => {
    for (;;) {
      const { id } = await agent.request();
      onAnswer();
      agent.answer(id, PONG);
    }
  })();
}
