import { describe, expect, it } from 'vitest';
import { READER, startFleet } from '../../test/support/fleet.ts';
import { RAW_MAX_AGE_MS } from '../db/metrics-roll-up.ts';

const MINUTE = 60_000;

const metrics = (cpu: number, more: object = {}) => ({
  cpu,
  memory: { used: 4e9, total: 8e9, percent: 50 },
  disk: { used: 1, total: 10, percent: 10 },
  containers: { running: 2, stopped: 1 },
  ...more,
});

const container = (name: string, cpu_percent: number) => ({
  id: name,
  name,
  cpu_percent,
  memory_usage: 100,
  memory_limit: 1_000,
  network_rx: 1,
  network_tx: 1,
  block_read: 1,
  block_write: 1,
});

/** A server that reported once a minute until now, the oldest first. */
async function reported(reports: readonly object[], ageMs = 0) {
  const fleet = await startFleet();
  const { agentId } = await fleet.test.join('web-1');
  // In the middle of a minute, so that a minute that begins meanwhile does not matter.
  const last = Math.floor((Date.now() - ageMs) / MINUTE) * MINUTE - MINUTE / 2;
  for (const [index, report] of reports.entries()) {
    const at = last - (reports.length - 1 - index) * MINUTE;
    fleet.test.hub.telemetry.metrics(agentId, metrics(0, report), at);
  }
  return { ...fleet, last };
}

describe('get_agent_metrics', () => {
  it('answers the last hour in steps of a minute, what was reported a moment ago included', async () => {
    const { perform, last } = await reported([
      { cpu: 10 },
      { cpu: 20, network_io: { rx: 5, tx: 6 } },
    ]);
    const answer = await perform('get_agent_metrics', { server_id: 'web-1' }, READER);
    expect(answer).toMatchObject({ server_id: 'web-1', step_seconds: 60, aggregate: 'avg' });
    expect(answer.times.map((time) => Date.parse(time))).toEqual([
      last - 1.5 * MINUTE,
      last - MINUTE / 2,
    ]);
    const byName = new Map(answer.series.map((series) => [series.metric, series]));
    expect([...byName.keys()]).toEqual([
      'cpu',
      'memory_percent',
      'disk_percent',
      'network_rx',
      'network_tx',
    ]);
    expect(byName.get('cpu')).toEqual({
      metric: 'cpu',
      unit: 'percent',
      values: [10, 20],
      min: 10,
      avg: 15,
      max: 20,
      last: 20,
    });
    expect(byName.get('network_rx')).toMatchObject({ unit: 'bytes/s', values: [null, 5], last: 5 });
    expect(answer).not.toHaveProperty('containers');
  });

  it('shows a gap where nothing was measured', async () => {
    const { perform, test, last } = await reported([{ cpu: 10 }]);
    const [{ agentId }] = [
      { agentId: (await test.database.db.agents.findByServer('web-1'))?.id ?? '' },
    ];
    test.hub.telemetry.metrics(agentId, metrics(30), last - 3 * MINUTE);
    const { series } = await perform('get_agent_metrics', { server_id: 'web-1', metrics: ['cpu'] });
    expect(series[0]?.values).toEqual([30, null, null, 10]);
  });

  it('takes step and aggregate as asked', async () => {
    const { perform } = await reported([{ cpu: 10 }, { cpu: 40 }, { cpu: 20 }]);
    const { series } = await perform('get_agent_metrics', {
      server_id: 'web-1',
      metrics: ['cpu', 'cpu', 'containers_running'],
      step_seconds: 86_400 * 2,
      aggregate: 'max',
    });
    expect(series.map(({ metric, unit }) => [metric, unit])).toEqual([
      ['cpu', 'percent'],
      ['containers_running', 'containers'],
    ]);
    expect(Math.max(...(series[0]?.values ?? []).map(Number))).toBe(40);
  });

  it('answers some sixty values of any time, and none shorter than they are kept', async () => {
    const { perform, last } = await reported([{ cpu: 10 }], RAW_MAX_AGE_MS * 2);
    const steps = await Promise.all(
      ['10m', '1h', '-6h', '-24h', '7d', '30d', '-52w'].map(async (since) => {
        const answer = await perform('get_agent_metrics', { server_id: 'web-1', since });
        return answer.step_seconds;
      }),
    );
    expect(steps).toEqual([30, 60, 600, 1_800, 10_800, 43_200, 43_200]);
    const since = new Date(last - MINUTE).toISOString();
    const until = new Date(last + MINUTE).toISOString();
    const old = await perform('get_agent_metrics', { server_id: 'web-1', since, until });
    expect(old).toMatchObject({ step_seconds: 300, since, until });
    expect(old.series[0]?.last).toBe(10);
  });

  it('answers one container by its name, and names those there are', async () => {
    const { perform } = await reported([
      { container_usage: [container('web', 150), container('db', 5)] },
      { container_usage: [container('web', 50)] },
    ]);
    const host = await perform('get_agent_metrics', { server_id: 'web-1' });
    expect(host.containers).toEqual(['db', 'web']);
    const web = await perform('get_agent_metrics', { server_id: 'web-1', container: 'web' });
    expect(web.container).toBe('web');
    expect(web.series.map(({ metric, unit, last }) => [metric, unit, last])).toEqual([
      ['cpu', 'percent', 50],
      ['memory', 'bytes', 100],
      ['network_rx', 'bytes/s', null],
      ['network_tx', 'bytes/s', null],
    ]);
    expect(web.series[0]?.values).toEqual([150, 50]);
  });

  it('says why there is nothing', async () => {
    const { perform, test } = await reported([]);
    const connected = await perform('get_agent_metrics', { server_id: 'web-1' });
    expect(connected).toMatchObject({ times: [], note: expect.stringContaining('is connected') });
    expect(connected.series[0]).toMatchObject({ values: [], min: null, last: null });
    await test.install('web-2');
    const away = await perform('get_agent_metrics', { server_id: 'web-2' });
    expect(away.note).toContain('get_agent_status');
  });

  it.each([
    [{ since: '-1h', until: '2h' }, 'exchange'],
    [{ since: '1h', until: '60m' }, 'not before'],
    [{ since: '-7d', step_seconds: 60 }, '1800'],
    [{ metrics: ['memory_limit'] }, 'name a container'],
    [{ container: 'web', metrics: ['load'] }, 'memory_limit'],
  ])('refuses %j, saying what is allowed', async (args, hint) => {
    const { perform } = await reported([{ container_usage: [container('web', 1)] }]);
    await expect(
      perform('get_agent_metrics', { server_id: 'web-1', ...args }),
    ).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
      message: expect.stringContaining(hint),
    });
  });

  it.each([
    [[container('web', 1), container('db', 1)], 'of db, web'],
    [[], 'of none at all'],
  ])('names the containers it knows when asked for another', async (container_usage, hint) => {
    const { perform } = await reported([{ container_usage }]);
    const asking = perform('get_agent_metrics', { server_id: 'web-1', container: 'x' });
    await expect(asking).rejects.toMatchObject({
      name: 'NOT_FOUND',
      message: expect.stringContaining(hint),
    });
  });

  it('does not know a server that is not there', async () => {
    const { perform } = await startFleet();
    await expect(perform('get_agent_metrics', { server_id: 'nowhere' })).rejects.toMatchObject({
      name: 'UNKNOWN_SERVER',
    });
  });
});
