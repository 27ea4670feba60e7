import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { EngineRequest } from '../../docker-engine/docker-engine.ts';
import { TomoError } from '../../protocol/errors.ts';
import { ContainerUsageMeter } from './container-usage.ts';

const open = new AbortController().signal;

interface Counters {
  cpu?: number;
  system?: number;
  io?: number;
}

function statsOf({ cpu = 0, system = 1, io = 0 }: Counters) {
  return {
    cpu_stats: { cpu_usage: { total_usage: cpu }, system_cpu_usage: system, online_cpus: 2 },
    precpu_stats: { cpu_usage: {} },
    memory_stats: { usage: 100, limit: 1_000, stats: { inactive_file: 40 } },
    networks: { eth0: { rx_bytes: io, tx_bytes: 2 * io } },
    blkio_stats: { io_service_bytes_recursive: [{ op: 'read', value: 3 * io }] },
  };
}

type Answer = Counters | Error | Promise<never>;

/** An engine with these containers; what it says can be changed. */
function engineWith(containers: Record<string, Answer>) {
  const asked: EngineRequest[] = [];
  return {
    asked,
    containers,
    request: async (request: EngineRequest): Promise<unknown> => {
      asked.push(request);
      if (request.path === '/containers/json') {
        return Object.keys(containers).map((Id) => ({ Id, Names: [`/name-${Id}`] }));
      }
      const answer = await containers[request.path.split('/')[2] ?? ''];
      if (answer instanceof Error) throw answer;
      return statsOf(answer ?? {});
    },
  };
}

it('says what containers use since the measurement before, the busiest first', async () => {
  const engine = engineWith({ a: { cpu: 0 }, b: { cpu: 0 } });
  const meter = new ContainerUsageMeter(engine, 1_000);
  const first = await meter.measure(open);
  expect(first.usage[0]).toMatchObject({ name: 'name-a', memory_usage: 60, memory_limit: 1_000 });
  expect(first.usage[0]).not.toHaveProperty('cpu_percent');
  expect(first.usage[0]).not.toHaveProperty('rates');
  engine.containers['a'] = { cpu: 10, system: 101, io: 10 };
  engine.containers['b'] = { cpu: 50, system: 101, io: 10 };
  await delay(5);
  const { usage, omitted } = await meter.measure(open);
  expect(omitted).toBe(0);
  expect(usage.map(({ id, cpu_percent }) => [id, cpu_percent])).toEqual([
    ['b', 100],
    ['a', 20],
  ]);
  expect(usage[0]).toMatchObject({ network_rx: 10, network_tx: 20, block_read: 30 });
  expect(usage[0]?.rates?.network_tx).toBeGreaterThan(0);
  expect(engine.asked.at(-1)?.query).toEqual({ stream: false, 'one-shot': true });
});

it('starts anew with a container that restarted', async () => {
  const engine = engineWith({ a: { cpu: 500, system: 1_000, io: 500 } });
  const meter = new ContainerUsageMeter(engine, 1_000);
  await meter.measure(open);
  engine.containers['a'] = { cpu: 5, system: 1_100, io: 5 };
  const [restarted] = (await meter.measure(open)).usage;
  expect(restarted).toMatchObject({ cpu_percent: 0, network_rx: 5 });
  expect(restarted).not.toHaveProperty('rates');
});

it('forgets a container that went', async () => {
  const engine = engineWith({ a: { io: 1 } });
  const meter = new ContainerUsageMeter(engine, 1_000);
  await meter.measure(open);
  delete engine.containers['a'];
  expect(await meter.measure(open)).toEqual({ usage: [], omitted: 0 });
  engine.containers['a'] = { io: 9 };
  expect((await meter.measure(open)).usage[0]).not.toHaveProperty('cpu_percent');
});

it('does not miss a container that ended while it was asked', async () => {
  const engine = engineWith({
    a: {},
    gone: new TomoError('NOT_FOUND', 'no such container'),
    stopped: { system: 0 },
  });
  const { usage, omitted } = await new ContainerUsageMeter(engine, 1_000).measure(open);
  expect([usage.map(({ id }) => id), omitted]).toEqual([['a'], 0]);
});

it('says how many containers it has no figures of: refused, or too slow', async () => {
  const never = new Promise<never>(() => undefined);
  const engine = engineWith({ slow: never, bad: new TomoError('DOCKER_REFUSED', 'no'), a: {} });
  const { usage, omitted } = await new ContainerUsageMeter(engine, 30).measure(open);
  expect([usage.map(({ id }) => id), omitted]).toEqual([['a'], 2]);
});

it('asks no more than 300 containers, eight at a time', async () => {
  let atOnce = 0;
  let most = 0;
  const ids = Array.from({ length: 310 }, (_, n) => [`c${n}`, {}]);
  const inner = engineWith(Object.fromEntries(ids));
  const request = async (asked: EngineRequest): Promise<unknown> => {
    atOnce += 1;
    most = Math.max(most, atOnce);
    await new Promise(setImmediate);
    atOnce -= 1;
    return await inner.request(asked);
  };
  const { usage, omitted } = await new ContainerUsageMeter({ request }, 5_000).measure(open);
  expect([usage.length, omitted, most]).toEqual([300, 10, 8]);
});

it('fails when the engine lists nothing', async () => {
  const request = () => new Promise<never>(() => undefined);
  const measuring = new ContainerUsageMeter({ request }, 10).measure(open);
  await expect(measuring).rejects.toHaveProperty('name', 'TimeoutError');
});
