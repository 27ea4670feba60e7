import { describe, expect, it } from 'vitest';
import { container, containerRows } from '../../test/support/container-metrics.ts';
import { PONG } from '../../test/support/fake-agent.ts';
import { eventually, type Joined, startHub, type TestHub } from '../../test/support/hub.ts';

const METRICS = {
  cpu: 12.5,
  memory: { used: 4, total: 8, percent: 50 },
  disk: { used: 1, total: 10, percent: 10 },
  containers: { running: 2, stopped: 1 },
};
const HEALTH = { status: 'healthy', uptime: 5, version: '1.0.0' };

describe('what an agent reports', () => {
  it('is kept: metrics in the database and at hand, health at hand, events in the database', async () => {
    const { test, joined } = await oneAgent();
    const { agent, agentId } = joined;
    agent.notify('metrics.update', METRICS);
    agent.notify('health.status', HEALTH);
    agent.notify('agent.event', { type: 'oom', container: 'db' });
    await settled(test, joined);
    expect(test.hub.telemetry.latestMetrics(agentId)?.metrics).toEqual(METRICS);
    expect(test.hub.telemetry.latestHealth(agentId)?.health).toEqual(HEALTH);
    await test.hub.telemetry.flush();
    expect(await test.database.db.metrics.latest(agentId)).toMatchObject({
      cpu: 12.5,
      memoryUsed: 4,
      diskTotal: 10,
      containersStopped: 1,
    });
    const [newest, first] = await test.database.db.events.recent(agentId, 10);
    expect(newest).toMatchObject({ type: 'agent.oom', detail: { container: 'db' } });
    expect(first).toMatchObject({ type: 'registered', serverId: 'web-1' });
  });

  const invalid: [method: string, params: unknown][] = [
    ['metrics.update', {}],
    ['metrics.update', { ...METRICS, cpu: -1 }],
    ['metrics.update', { ...METRICS, memory: { used: 1, total: 2, percent: 101 } }],
    ['health.status', { status: 'healthy' }],
    ['agent.event', { container: 'db' }],
    ['agent.event', { type: '' }],
    ['docker.event', { type: 'die' }],
  ];
  it.each(invalid)('is ignored where it does not fit: %s %j', async (method, params) => {
    const { test, joined } = await oneAgent();
    const { agent, agentId } = joined;
    await test.hub.telemetry.flush();
    agent.notify(method, params);
    await settled(test, joined);
    expect(test.hub.telemetry.latestMetrics(agentId)).toBeUndefined();
    expect(test.hub.telemetry.latestHealth(agentId)).toBeUndefined();
    await test.hub.telemetry.flush();
    expect(await test.database.db.events.recent(agentId, 10)).toHaveLength(1);
    expect(test.hub.connected(agentId)).toBeDefined();
  });

  it('is kept of its containers too, and of the server what older agents do not tell', async () => {
    const { test, joined } = await oneAgent();
    const { agent, agentId } = joined;
    agent.notify('metrics.update', { ...METRICS, ...MORE, container_usage: [container('web')] });
    await settled(test, joined);
    await test.hub.telemetry.flush();
    expect(await test.database.db.metrics.latest(agentId)).toMatchObject({
      load: 1.5,
      networkTx: 20,
      diskRead: null,
      temperature: 61,
    });
    expect(containerRows(test)).toMatchObject([
      {
        agent_id: agentId,
        container: 'web',
        cpu: 150,
        memory_used: 5,
        network_rx: 1,
        disk_write: 4,
      },
    ]);
  });

  it('is kept as far as it is understood: a figure of another shape is left out alone', async () => {
    const { test, joined } = await oneAgent();
    const { agent, agentId } = joined;
    agent.notify('metrics.update', { ...METRICS, load: 'high', swap: { used: -1 }, load_max: 7 });
    await settled(test, joined);
    const metrics = test.hub.telemetry.latestMetrics(agentId)?.metrics;
    expect(metrics).toEqual({ ...METRICS, load_max: 7 });
  });

  it('is forgotten with the agent’s connection', async () => {
    const { test, joined } = await oneAgent();
    const { agent, agentId } = joined;
    agent.notify('metrics.update', METRICS);
    agent.notify('health.status', HEALTH);
    await settled(test, joined);
    agent.socket.close();
    await eventually(() => expect(test.hub.telemetry.latestHealth(agentId)).toBeUndefined());
    expect(test.hub.telemetry.latestMetrics(agentId)).toBeUndefined();
  });

  it('spoils nobody else’s when it cannot be stored', async () => {
    const { test, joined } = await oneAgent();
    const other = await test.join('web-2');
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    joined.agent.send(
      `{"jsonrpc":"2.0","method":"agent.event","params":{"type":"deep","a":${deep}}}`,
    );
    await settled(test, joined);
    other.agent.notify('agent.event', { type: 'oom' });
    await settled(test, other);
    await test.hub.telemetry.flush();
    const events = await test.database.db.events.recent(other.agentId, 10);
    expect(events.map(({ type }) => type)).toEqual(['agent.oom', 'registered']);
  });

  it('is not kept in memory when it is larger than a report may be', async () => {
    const { test, joined } = await oneAgent();
    const { agent, agentId } = joined;
    const padding = 'x'.repeat(70_000);
    agent.notify('metrics.update', { ...METRICS, padding });
    agent.notify('health.status', { ...HEALTH, padding });
    agent.notify('agent.event', { type: 'large', padding });
    await settled(test, joined);
    expect(test.hub.telemetry.latestMetrics(agentId)).toBeUndefined();
    expect(test.hub.telemetry.latestHealth(agentId)).toBeUndefined();
    await test.hub.telemetry.flush();
    expect(await test.database.db.events.recent(agentId, 10)).toHaveLength(1);
  });

  it('leaves room for the others when one agent reports without end', async () => {
    const { test, joined } = await oneAgent();
    const other = await test.join('web-2');
    for (let count = 0; count < 25_000; count += 1) {
      joined.agent.notify('agent.event', { type: 'flood' });
    }
    joined.agent.notify('metrics.update', METRICS);
    await settled(test, joined);
    other.agent.notify('agent.event', { type: 'oom' });
    other.agent.notify('metrics.update', METRICS);
    await settled(test, other);
    await test.hub.telemetry.flush();
    expect(await test.database.db.events.recent(other.agentId, 1)).toMatchObject([
      { type: 'agent.oom' },
    ]);
    expect(await test.database.db.metrics.latest(other.agentId)).toBeDefined();
    expect(test.hub.telemetry.dropped).toBeGreaterThan(0);
    expect(await test.database.db.metrics.latest(joined.agentId)).toBeUndefined();
    expect(test.hub.telemetry.latestMetrics(joined.agentId)?.metrics).toEqual(METRICS);
  });

  it('takes no more than a megabyte of one agent in one round', async () => {
    const { test, joined } = await oneAgent();
    const text = 'x'.repeat(60_000);
    for (let count = 0; count < 50; count += 1) {
      joined.agent.notify('agent.event', { type: 'large', text });
    }
    await settled(test, joined);
    expect(test.hub.counters.telemetryDropped).toBe(33);
    await test.hub.telemetry.nextRound();
    const kept = await test.database.db.events.recent(joined.agentId, 100);
    expect(kept.filter(({ type }) => type === 'agent.large')).toHaveLength(17);
    expect(kept[0]).toMatchObject({ detail: { text } });
    joined.agent.notify('agent.event', { type: 'after' });
    await settled(test, joined);
    expect(test.hub.counters.telemetryDropped).toBe(33);
  });
});

describe('last_seen', () => {
  it('is written by a flush, never by a message', async () => {
    const { test, joined } = await oneAgent({ sweepMs: 5 });
    const { agent, agentId } = joined;
    await test.hub.telemetry.flush();
    const before = await test.row(agentId);
    const writes = test.writes;
    for (let count = 0; count < 100; count += 1) agent.notify('health.status', HEALTH);
    await settled(test, joined);
    await eventually(() => expect(test.hub.telemetry.lastSeen(agentId)).toBeDefined());
    expect(test.writes).toBe(writes);
    const seen = test.hub.telemetry.lastSeen(agentId);
    await test.hub.telemetry.flush();
    expect(test.writes).toBe(writes + 1);
    const after = await test.row(agentId);
    expect(after?.lastSeen).toBeGreaterThanOrEqual(Number(before?.lastSeen));
    expect(after?.lastSeen).toBe(seen);
  });

  it('is written by itself every few seconds', async () => {
    const { test, joined } = await oneAgent({ flushMs: 20 });
    await eventually(() => expect(test.hub.telemetry.lastSeen(joined.agentId)).toBeUndefined());
    expect((await test.row(joined.agentId))?.lastSeen).toBeGreaterThan(0);
  });
});

describe('a database that refuses', () => {
  it('costs the rows, which are counted, but neither last_seen nor the hub', async () => {
    const { test, joined } = await oneAgent();
    const { agent, agentId } = joined;
    await test.hub.telemetry.flush();
    // A full disk: SQLite may not grow the file by another page.
    const { client } = test.database;
    const pages = Number(client.pragma('page_count', { simple: true }));
    client.pragma(`max_page_count = ${pages}`);
    for (let count = 0; count < 150; count += 1) {
      agent.notify('agent.event', { type: 'large', text: 'x'.repeat(5_000) });
    }
    agent.notify('metrics.update', METRICS);
    await settled(test, joined);
    await test.hub.telemetry.flush();
    expect(test.hub.telemetry.dropped).toBe(150);
    expect(test.logged).toContainEqual(
      expect.objectContaining({ level: 50, err: expect.objectContaining({ code: 'full' }) }),
    );
    expect(await test.database.db.metrics.latest(agentId)).toBeDefined();
    client.pragma('max_page_count = 1073741823');
    agent.notify('agent.event', { type: 'after' });
    await settled(test, joined);
    await test.hub.telemetry.flush();
    expect(await test.database.db.events.recent(agentId, 1)).toMatchObject([
      { type: 'agent.after' },
    ]);
  });

  it('is not offered the same metrics twice: those that it refused are counted', async () => {
    const { test, joined } = await oneAgent();
    test.database.client.exec(`CREATE TRIGGER refuse BEFORE INSERT ON agent_metrics
      BEGIN SELECT RAISE(ABORT, 'refused'); END`);
    joined.agent.notify('metrics.update', METRICS);
    await settled(test, joined);
    await test.hub.telemetry.flush();
    await test.hub.telemetry.flush();
    expect(test.hub.telemetry.dropped).toBe(1);
    expect(test.hub.telemetry.latestMetrics(joined.agentId)?.metrics).toEqual(METRICS);
  });

  it('is told last_seen again when it takes it', async () => {
    const { test, joined } = await oneAgent({ sweepMs: 5 });
    const { agentId } = joined;
    const { client } = test.database;
    client.exec(`CREATE TRIGGER refuse BEFORE UPDATE OF last_seen ON agents
      BEGIN SELECT RAISE(ABORT, 'refused'); END`);
    test.hub.telemetry.seen(agentId, 4_000_000_000_000);
    await test.hub.telemetry.flush();
    expect(test.hub.telemetry.lastSeen(agentId)).toBeGreaterThan(0);
    client.exec('DROP TRIGGER refuse');
    test.hub.telemetry.seen(agentId, 4_000_000_000_000);
    await test.hub.telemetry.flush();
    expect(await test.row(agentId)).toMatchObject({ lastSeen: 4_000_000_000_000 });
  });
});

const MORE = {
  load: [1.5, 1, 0.5],
  network_io: { rx: 10, tx: 20 },
  temperatures: [
    { sensor: 'a', celsius: 40 },
    { sensor: 'b', celsius: 61 },
  ],
};

async function oneAgent(timings = {}): Promise<{ test: TestHub; joined: Joined }> {
  const test = await startHub({ timings });
  return { test, joined: await test.join('web-1') };
}

/** A round trip, after which the hub has read everything that was sent before. */
async function settled(test: TestHub, { agent, agentId }: Joined): Promise<void> {
  const call = test.call(agentId);
  const { id } = await agent.request();
  agent.answer(id, PONG);
  await call;
}
