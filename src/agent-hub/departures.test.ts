import { describe, expect, it } from 'vitest';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';

const REFUSE = `CREATE TRIGGER refuse BEFORE UPDATE OF status ON agents
  WHEN new.status = 'disconnected' BEGIN SELECT RAISE(ABORT, 'refused'); END`;

describe('a departure that the database does not take', () => {
  it('is written with a later flush', async () => {
    const test = await startHub();
    const joined = [await test.join('web-1'), await test.join('web-2')];
    test.database.client.exec(REFUSE);
    for (const { agent } of joined) agent.socket.close();
    await eventually(() => expect(test.hub.counters.connected).toBe(0));
    await test.hub.telemetry.flush();
    expect(await statuses(test, joined)).toEqual(['connected', 'connected']);
    test.database.client.exec('DROP TRIGGER refuse');
    await test.hub.telemetry.flush();
    expect(await statuses(test, joined)).toEqual(['disconnected', 'disconnected']);
  });

  it('holds the hub up with one try each time, however many agents went', async () => {
    const test = await startHub();
    const joined = [await test.join('web-1'), await test.join('web-2'), await test.join('web-3')];
    test.database.client.exec(REFUSE);
    for (const { agent } of joined) agent.socket.close();
    await eventually(() => expect(test.hub.counters.connected).toBe(0));
    expect(failures(test)).toBe(1);
    await test.hub.telemetry.flush();
    expect(failures(test)).toBe(2);
  });

  it('is forgotten when the agent has come back', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1');
    test.database.client.exec(REFUSE);
    agent.socket.close();
    await eventually(() => expect(failures(test)).toBe(1));
    test.database.client.exec('DROP TRIGGER refuse');
    await test.rejoin(token);
    await test.hub.telemetry.flush();
    expect(await test.row(agentId)).toMatchObject({ status: 'connected' });
    expect(test.hub.connected(agentId)).toBeDefined();
  });
});

function failures(test: TestHub): number {
  return test.logged.filter(({ msg }) => String(msg).includes('departure')).length;
}

function statuses(test: TestHub, agents: readonly { agentId: string }[]) {
  return Promise.all(agents.map(async ({ agentId }) => (await test.row(agentId))?.status));
}
