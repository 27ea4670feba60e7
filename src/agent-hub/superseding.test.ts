import { describe, expect, it } from 'vitest';
import { PONG } from '../../test/support/fake-agent.ts';
import { eventually, startHub } from '../../test/support/hub.ts';

describe('a newer socket of the same agent', () => {
  it('takes the older one’s place, which is closed with 4003', async () => {
    const test = await startHub();
    const { agent: older, agentId, token } = await test.join('web-1');
    const { agent: newer } = await test.rejoin(token);
    expect((await older.closed).code).toBe(4003);
    const call = test.call(agentId, { id: 'c1' });
    await newer.request();
    newer.answer('c1', PONG);
    await expect(call).resolves.toEqual(PONG);
    expect(test.hub.counters).toMatchObject({ connected: 1, superseded: 1 });
  });

  it('fails the calls that wait for the older one at once', async () => {
    const test = await startHub();
    const { agent: older, agentId, token } = await test.join('web-1');
    const call = test.call(agentId);
    const lost = expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST', code: 1002 });
    await older.request();
    await test.rejoin(token);
    await lost;
  });

  it('stays connected when the older one’s end arrives late', async () => {
    const test = await startHub();
    const { agent: older, agentId, token } = await test.join('web-1');
    older.socket.pause();
    const { agent: newer } = await test.rejoin(token);
    const departures = () => test.logged.filter(({ msg }) => msg === 'agent disconnected');
    expect(departures()).toHaveLength(0);
    older.cut();
    await eventually(() => expect(departures()).toHaveLength(1));
    expect(await test.row(agentId)).toMatchObject({ status: 'connected' });
    const call = test.call(agentId, { id: 'c1' });
    await newer.request();
    newer.answer('c1', PONG);
    await expect(call).resolves.toEqual(PONG);
  });

  it('also comes with a fresh code, after which the older token ends its process', async () => {
    const test = await startHub();
    const { agent: older, agentId, token } = await test.join('web-1');
    const { agentId: same } = await test.join('web-1');
    expect(same).toBe(agentId);
    expect((await older.closed).code).toBe(4003);
    const { agent, welcome } = await test.rejoin(token);
    expect(welcome).toMatchObject({ code: 'AGENT_REVOKED' });
    expect((await agent.closed).code).toBe(4002);
    expect(test.hub.connected(agentId)).toBeDefined();
  });
});

describe('an agent whose socket the hub has closed', () => {
  it('is not listened to any more, though it goes on talking', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const other = await test.join('web-2');
    agent.socket.pause();
    await test.hub.revoke(agentId);
    agent.notify('health.status', { status: 'healthy', uptime: 1, version: '1' });
    agent.notify('agent.event', { type: 'intruder' });
    agent.answer('invented', PONG);
    agent.send('not JSON');
    // One more message on each socket: the hub reads in the order of arrival.
    await agent.writeRaw('');
    const call = test.call(other.agentId, { id: 'c1' });
    await other.agent.request();
    other.agent.answer('c1', PONG);
    await call;
    agent.socket.resume();
    expect((await agent.closed).code).toBe(4002);
    await test.hub.telemetry.flush();
    expect(test.hub.telemetry.latestHealth(agentId)).toBeUndefined();
    expect(test.hub.counters.strayAnswers).toBe(0);
    const events = await test.database.db.events.recent(agentId, 10);
    expect(events.map(({ type }) => type)).not.toContain('agent.intruder');
  });
});
