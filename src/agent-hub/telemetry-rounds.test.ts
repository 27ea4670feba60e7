import { describe, expect, it } from 'vitest';
import { container, containerRows } from '../../test/support/container-metrics.ts';
import { eventually, type Joined, startHub, type TestHub } from '../../test/support/hub.ts';

const METRICS = {
  cpu: 12.5,
  memory: { used: 4, total: 8, percent: 50 },
  disk: { used: 1, total: 10, percent: 10 },
  containers: { running: 2, stopped: 1 },
};

describe('what agents report in one round', () => {
  it('is bounded in containers: what is too much of one agent, or of all, is dropped and counted', async () => {
    const { test, joined } = await oneAgent();
    const { telemetry } = test.hub;
    const metrics = (count: number) => ({
      ...METRICS,
      container_usage: Array.from({ length: count }, (_, n) => container(`c${n}`)),
    });
    telemetry.metrics(joined.agentId, metrics(200), 1);
    telemetry.metrics(joined.agentId, metrics(101), 2);
    expect(telemetry.dropped).toBe(101);
    for (let n = 0; n < 100; n += 1) telemetry.metrics(`agent-${n}`, metrics(300), 1);
    expect(telemetry.dropped).toBe(401);
    await telemetry.nextRound();
    expect(containerRows(test)).toHaveLength(200 + 99 * 300);
    telemetry.metrics(joined.agentId, metrics(300), 3);
    expect(telemetry.dropped).toBe(401);
  });

  it('is kept of every container of a thousand servers that report at once', async () => {
    const test = await startHub();
    const usage = Array.from({ length: 30 }, (_, n) => container(`c${n}`));
    for (let n = 0; n < 1_000; n += 1) {
      test.hub.telemetry.metrics(`agent-${n}`, { ...METRICS, container_usage: usage }, 1);
    }
    await test.hub.telemetry.flush();
    expect(containerRows(test)).toHaveLength(30_000);
    expect(test.hub.telemetry.dropped).toBe(0);
  });

  it('is bounded by time: what is written early, for somebody who reads, makes no room', async () => {
    const { test, joined } = await oneAgent();
    const { agentId } = joined;
    const { telemetry } = test.hub;
    const containers = Array.from({ length: 150 }, (_, n) => container(`c${n}`));
    const report = async (at: number) => {
      for (let n = 0; n < 100; n += 1) {
        telemetry.event({ agentId, serverId: 'web-1', type: 'agent.noise', at });
      }
      telemetry.metrics(agentId, { ...METRICS, container_usage: containers }, at);
      await telemetry.flush();
    };
    for (let at = 1; at <= 4; at += 1) await report(at);
    // Of the containers two reports.
    expect(telemetry.dropped).toBe(2 * 150);
    await report(5);
    // 500 rows are 4 of metrics and 496 events, and the fifth report is one too many.
    expect(telemetry.dropped).toBe(2 * 150 + 4 + 1);
    expect(await test.database.db.events.recent(agentId, 1_000)).toHaveLength(496 + 1);
    await telemetry.nextRound();
    await report(6);
    expect(telemetry.dropped).toBe(2 * 150 + 4 + 1);
  });

  it('takes no room from what the hub itself records about the agent', async () => {
    const { test, joined } = await oneAgent();
    const { telemetry } = test.hub;
    for (let n = 0; n < 60; n += 1) {
      const agentId = n === 0 ? joined.agentId : `agent-${n}`;
      for (let count = 0; count < 500; count += 1) {
        telemetry.event({ agentId, serverId: 'web-1', type: 'agent.noise', at: 1 });
      }
    }
    expect(telemetry.dropped).toBe(60 * 500 - 20_000);
    await test.hub.revoke(joined.agentId);
    await telemetry.flush();
    const { db } = test.database;
    expect(await db.events.list({ type: 'revoked', limit: 10 })).toMatchObject([
      { agentId: joined.agentId },
    ]);
  });

  it('is bounded in what the hub records of comings and goings, which takes no room from anything else', async () => {
    const { test, joined } = await oneAgent();
    const { telemetry } = test.hub;
    const own = { agentId: joined.agentId, serverId: 'web-1', at: 1 };
    for (let count = 0; count < 1_000; count += 1) telemetry.event({ ...own, type: 'connected' });
    telemetry.event({ ...own, type: 'clone_refused' });
    telemetry.event({ ...own, type: 'agent.die' });
    telemetry.event({ ...own, agentId: 'other', type: 'connected' });
    expect(telemetry.dropped).toBe(990);
    await telemetry.flush();
    const kept = await test.database.db.events.recent(joined.agentId, 2_000);
    expect(kept).toHaveLength(10 + 3);
  });

  it('is bounded in reports of metrics: the newest is at hand, few are kept over time', async () => {
    const { test, joined } = await oneAgent();
    const { agentId } = joined;
    const { telemetry } = test.hub;
    for (let at = 1; at <= 9; at += 1) telemetry.metrics(agentId, { ...METRICS, cpu: at }, at);
    expect(telemetry.latestMetrics(agentId)?.metrics).toHaveProperty('cpu', 9);
    expect(telemetry.dropped).toBe(5);
    await telemetry.flush();
    expect(await test.database.db.metrics.latest(agentId)).toMatchObject({ cpu: 4 });
  });

  it('takes no more than 32 MiB of all agents together', async () => {
    const { telemetry } = (await startHub()).hub;
    const detail = { text: 'x'.repeat(60_000) };
    for (let count = 0; count < 600; count += 1) {
      const agentId = `agent-${count % 60}`;
      telemetry.event({ agentId, serverId: 'web-1', type: 'agent.large', detail, at: count });
    }
    expect(telemetry.dropped).toBe(600 - Math.floor((32 * 1024 * 1024) / (60_000 + 11 + 256)));
  });

  it('is given up where the database refuses a part of much, and counted', async () => {
    const { test } = await oneAgent();
    const { telemetry } = test.hub;
    test.database.client.exec(`CREATE TRIGGER refuse BEFORE INSERT ON agent_metrics
    WHEN NEW.agent_id = 'agent-15' BEGIN SELECT RAISE(ABORT, 'refused'); END`);
    const usage = Array.from({ length: 100 }, (_, n) => container(`c${n}`));
    for (let n = 0; n < 30; n += 1) {
      telemetry.metrics(`agent-${n}`, { ...METRICS, container_usage: usage }, 1);
    }
    await telemetry.flush();
    // Ten reports were written before.
    expect(telemetry.dropped).toBe(20 * 101);
    expect(containerRows(test)).toHaveLength(10 * 100);
    expect(test.logged.filter(({ level }) => level === 50)).toHaveLength(1);
  });

  it('has room anew every few seconds', async () => {
    const { test, joined } = await oneAgent({ flushMs: 20 });
    const event = { agentId: joined.agentId, serverId: 'web-1', type: 'agent.noise', at: 1 };
    const { telemetry } = test.hub;
    while (telemetry.event(event));
    await eventually(() => expect(telemetry.event(event)).toBe(true));
  });
});

async function oneAgent(timings = {}): Promise<{ test: TestHub; joined: Joined }> {
  const test = await startHub({ timings });
  return { test, joined: await test.join('web-1') };
}
