import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { Counter, Gauge, Registry } from 'prom-client';
import type { AgentHub } from './agent-hub/agent-hub.ts';
import type { HubCounters } from './agent-hub/hub-counters.ts';
import type { AgentRow } from './db/agent-row.ts';
import type { TomoDatabase } from './db/database.ts';
import type { Measurement } from './db/metrics-repository.ts';

/** Servers that are told of by themselves, each with some twenty lines. */
const AGENTS_MAX_COUNT = 20_000;
const PAGE_COUNT = 500;
const LOOP_RESOLUTION_MS = 20;

export interface ExpositionSource {
  readonly hub: Pick<AgentHub, 'counters' | 'connected' | 'telemetry'>;
  readonly db: { readonly agents: Pick<TomoDatabase['agents'], 'list'> };
}

type Row = readonly [name: string, help: string];

const HUB_GAUGES: ReadonlyArray<readonly [...Row, keyof HubCounters]> = [
  ['tomo_agents_connected', 'Agents with an open socket.', 'connected'],
  ['tomo_calls_in_flight', 'Commands that wait for an answer.', 'callsInFlight'],
];

const HUB_COUNTERS: ReadonlyArray<readonly [...Row, keyof HubCounters]> = [
  ['tomo_calls_total', 'Commands sent to agents.', 'calls'],
  ['tomo_stray_answers_total', 'Answers that no command waited for.', 'strayAnswers'],
  [
    'tomo_stray_progress_total',
    'Messages about commands that were not under way, and output past a command’s limits.',
    'strayProgress',
  ],
  ['tomo_refused_handshakes_total', 'Sockets that were not let in.', 'refusedHandshakes'],
  ['tomo_superseded_total', 'Sockets replaced by a newer one of their agent.', 'superseded'],
  [
    'tomo_clones_refused_total',
    'Sockets refused because their token belongs to another machine.',
    'clonesRefused',
  ],
  [
    'tomo_taking_turns_total',
    'How often two processes of one agent replaced each other in turn.',
    'takingTurns',
  ],
  [
    'tomo_telemetry_dropped_total',
    'Rows of metrics and events that were not kept.',
    'telemetryDropped',
  ],
];

/** Of the newest report of each agent that is connected. */
const HOST_GAUGES: ReadonlyArray<readonly [...Row, keyof Measurement]> = [
  ['tomo_host_cpu_percent', 'Share of all processors in use.', 'cpu'],
  ['tomo_host_load1', 'Load average over a minute.', 'load'],
  ['tomo_host_memory_used_bytes', 'Memory in use, caches left out.', 'memoryUsed'],
  ['tomo_host_memory_total_bytes', 'Memory.', 'memoryTotal'],
  ['tomo_host_swap_used_bytes', 'Swap in use.', 'swapUsed'],
  ['tomo_host_swap_total_bytes', 'Swap.', 'swapTotal'],
  ['tomo_host_disk_used_bytes', 'In use on the root file system.', 'diskUsed'],
  ['tomo_host_disk_total_bytes', 'Size of the root file system.', 'diskTotal'],
  ['tomo_host_network_receive_bytes_per_second', 'Received by all interfaces.', 'networkRx'],
  ['tomo_host_network_transmit_bytes_per_second', 'Sent by all interfaces.', 'networkTx'],
  ['tomo_host_disk_read_bytes_per_second', 'Read from all disks.', 'diskRead'],
  ['tomo_host_disk_write_bytes_per_second', 'Written to all disks.', 'diskWrite'],
  ['tomo_host_temperature_celsius', 'The hottest sensor.', 'temperature'],
  ['tomo_host_containers_running', 'Containers that run.', 'containersRunning'],
  ['tomo_host_containers_stopped', 'Containers that do not run.', 'containersStopped'],
];

/** The hub's numbers, and those of each agent, in Prometheus' text format. */
export class PrometheusExposition implements Disposable {
  readonly #source: ExpositionSource;
  readonly #registry = new Registry();
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  /** Counted once for an answer: each connection is asked. */
  #counters: HubCounters;
  #running: Promise<string> | undefined;

  constructor(source: ExpositionSource) {
    this.#source = source;
    this.#counters = source.hub.counters;
    this.#registerHub();
    this.#registerProcess();
  }

  /** Who asks while it is written for another gets the same. */
  async text(): Promise<string> {
    this.#running ??= this.#write().finally(() => {
      this.#running = undefined;
    });
    return await this.#running;
  }

  [Symbol.dispose](): void {
    this.#loopDelay.disable();
  }

  async #write(): Promise<string> {
    this.#counters = this.#source.hub.counters;
    const agents = await this.#agents();
    const parts = [await this.#registry.metrics()];
    // One at a time and nothing kept: a line of every agent is a megabyte that others would wait for.
    for (const write of [...this.#presence(agents), ...this.#hosts(agents)]) {
      parts.push(await write());
      await setImmediate();
    }
    return parts.join('\n');
  }

  async #agents(): Promise<Agent[]> {
    const agents: Agent[] = [];
    let after: string | undefined;
    while (agents.length < AGENTS_MAX_COUNT) {
      const filter = { limit: PAGE_COUNT, ...(after === undefined ? {} : { after }) };
      const page = await this.#source.db.agents.list(filter);
      for (const row of page) if (row.status !== 'revoked') agents.push(this.#agentOf(row));
      after = page.at(-1)?.serverId;
      if (page.length < PAGE_COUNT) break;
      await setImmediate();
    }
    return agents;
  }

  #agentOf({ id, serverId, lastSeen }: AgentRow): Agent {
    const { hub } = this.#source;
    return {
      labels: { server_id: serverId },
      isUp: hub.connected(id) !== undefined,
      lastSeen: hub.telemetry.lastSeen(id) ?? lastSeen,
      measurement: hub.telemetry.latestMeasurement(id),
    };
  }

  #presence(agents: readonly Agent[]): Array<() => Promise<string>> {
    const up: Row = ['tomo_agent_up', 'Whether the agent is connected.'];
    const seen: Row = ['tomo_agent_last_seen_timestamp_seconds', 'When it was last heard of.'];
    return [
      () => perAgent(up, agents, ({ isUp }) => Number(isUp)),
      () => perAgent(seen, agents, ({ lastSeen }) => lastSeen && lastSeen / 1_000),
    ];
  }

  #hosts(agents: readonly Agent[]): Array<() => Promise<string>> {
    const measured = agents.filter(({ measurement }) => measurement !== undefined);
    return HOST_GAUGES.map(
      ([name, help, figure]) =>
        () =>
          perAgent([name, help], measured, ({ measurement }) =>
            Number(measurement?.[figure] ?? NaN),
          ),
    );
  }

  #registerHub(): void {
    for (const [name, help, figure] of HUB_GAUGES) {
      gauge(this.#registry, [name, help], () => this.#counters[figure]);
    }
    for (const [name, help, figure] of HUB_COUNTERS) {
      counter(this.#registry, [name, help], () => this.#counters[figure]);
    }
  }

  /** Under the names of prom-client's own defaults, of which these are the ones that tell. */
  #registerProcess(): void {
    const registry = this.#registry;
    const delay = this.#loopDelay;
    delay.enable();
    gauge(registry, ['process_resident_memory_bytes', 'Resident memory.'], () =>
      process.memoryUsage.rss(),
    );
    gauge(
      registry,
      ['nodejs_heap_size_used_bytes', 'Heap in use.'],
      () => process.memoryUsage().heapUsed,
    );
    gauge(registry, ['process_start_time_seconds', 'When the process started.'], () =>
      Math.round(performance.timeOrigin / 1_000),
    );
    gauge(registry, ['nodejs_eventloop_lag_p99_seconds', 'Since it was last asked for.'], () => {
      const seconds = delay.percentile(99) / 1e9;
      delay.reset();
      return seconds;
    });
    counter(registry, ['process_cpu_seconds_total', 'Processor time, user and system.'], () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
  }
}

function gauge(registry: Registry, [name, help]: Row, read: () => number): void {
  const registers = [registry];
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}

/** Of a total that is kept elsewhere. */
function counter(registry: Registry, [name, help]: Row, read: () => number): void {
  const registers = [registry];
  new Counter({
    name,
    help,
    registers,
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

interface Agent {
  readonly labels: { readonly server_id: string };
  readonly isUp: boolean;
  /** Milliseconds since the epoch. */
  readonly lastSeen: number | null;
  readonly measurement: Measurement | undefined;
}

async function perAgent(
  [name, help]: Row,
  agents: readonly Agent[],
  value: (agent: Agent) => number | null,
): Promise<string> {
  const registry = new Registry();
  const gauge = new Gauge({ name, help, labelNames: ['server_id'], registers: [registry] });
  for (const agent of agents) {
    const measured = value(agent);
    if (measured !== null && Number.isFinite(measured)) gauge.set(agent.labels, measured);
  }
  return await registry.metrics();
}
