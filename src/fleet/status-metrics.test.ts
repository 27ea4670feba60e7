import { describe, expect, it } from 'vitest';
import { startFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';

const METRICS = {
  cpu: 12.5,
  memory: { used: 4, total: 8, percent: 50 },
  disk: { used: 1, total: 10, percent: 10 },
  containers: { running: 12, stopped: 1 },
  load: [1, 2, 3] as [number, number, number],
  swap: { used: 1, total: 4, percent: 25 },
  network_io: { rx: 1, tx: 2 },
  disk_io: { read: 3, write: 4 },
};

const container = (n: number) => ({
  id: `c${n}`,
  name: `c${n}`,
  memory_usage: 1,
  memory_limit: 1,
  network_rx: 1,
  network_tx: 1,
  block_read: 1,
  block_write: 1,
});

async function statusOf(report: object) {
  const { test, perform } = await startFleet();
  const { agent, agentId } = await test.join('web-1');
  agent.notify('metrics.update', report);
  await eventually(() => expect(test.hub.telemetry.latestMetrics(agentId)).toBeDefined());
  const live = await perform('get_agent_status', { server_id: 'web-1' });
  await test.hub.telemetry.flush();
  agent.socket.close();
  await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
  const away = await perform('get_agent_status', { server_id: 'web-1' });
  return { live: live.metrics, away: away.metrics };
}

describe('the metrics in get_agent_status', () => {
  it('are the newest report, and what is kept of it once the agent is away', async () => {
    const { live, away } = await statusOf(METRICS);
    expect(live).toEqual(METRICS);
    const { load, ...kept } = METRICS;
    expect(away).toEqual({ ...kept, load1: load[0] });
  });

  it('name the ten busiest containers and count the others', async () => {
    const container_usage = Array.from({ length: 12 }, (_, n) => container(n));
    const { live } = await statusOf({
      ...METRICS,
      container_usage,
      omitted: { container_usage: 3 },
    });
    expect(live?.container_usage?.map(({ id }) => id)).toEqual(
      container_usage.slice(0, 10).map(({ id }) => id),
    );
    expect(live?.omitted).toEqual({ container_usage: 5 });
  });

  it('are those of the first deployment where an agent tells no more', async () => {
    const { cpu, memory, disk, containers } = METRICS;
    const { live, away } = await statusOf({ cpu, memory, disk, containers });
    expect(live).toEqual({ cpu, memory, disk, containers });
    expect(away).toEqual(live);
  });
});
