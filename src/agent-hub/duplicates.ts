import type { Hello, HostInfo } from '../../protocol/handshake.ts';
import {
  DUPLICATE_ADDRESSES_MAX_COUNT,
  SUPERSEDED_INSTANCES_MAX_COUNT,
} from '../../protocol/limits.ts';

const EVENT_INTERVAL_MS = 60_000;

/** Other processes that came with an agent's token, counted since the hub started. */
export interface DuplicateCounts {
  /** Connections from other machines, which were refused. */
  readonly refused: number;
  /** How often two processes on what looks like one machine replaced each other. */
  readonly takingTurns: number;
  /** Where they came from; the newest last. */
  readonly addresses: string[];
  /** Milliseconds since the epoch. */
  readonly lastAt?: number;
  /** What the machine refused last says of itself. */
  readonly lastHost?: HostInfo;
}

/** A process that came with an agent's token. */
export interface TokenBearer {
  readonly agentId: string;
  readonly serverId: string;
  readonly address: string;
  readonly host: HostInfo | undefined;
  readonly instanceId: string | undefined;
}

export type DuplicateType = 'clone_refused' | 'taking_turns';

interface DuplicatesOptions {
  /** Called at most once a minute for each agent and type. */
  readonly report: (bearer: TokenBearer, type: DuplicateType, counts: DuplicateCounts) => void;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

interface Entry {
  counts: DuplicateCounts;
  /** The newest last. */
  readonly superseded: Set<string>;
  readonly reportAt: Record<DuplicateType, number>;
}

/** Who else uses an agent's token: copies on other machines, and processes that take turns. */
export class Duplicates {
  readonly #options: DuplicatesOptions;
  readonly #now: () => number;
  readonly #byAgent = new Map<string, Entry>();

  constructor(options: DuplicatesOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  of(agentId: string): DuplicateCounts {
    return this.#byAgent.get(agentId)?.counts ?? NONE;
  }

  /** A process on another machine was refused. */
  refused(clone: TokenBearer): void {
    const { counts } = this.#entry(clone.agentId);
    const lastHost = clone.host === undefined ? {} : { lastHost: clone.host };
    this.#count(clone, 'clone_refused', { ...counts, refused: counts.refused + 1, ...lastHost });
  }

  /** Whether the newer one had been superseded before: the two take turns. */
  superseded(older: TokenBearer, newer: TokenBearer): boolean {
    if (older.instanceId === undefined || older.instanceId === newer.instanceId) return false;
    const { superseded, counts } = this.#entry(newer.agentId);
    const cameBack = newer.instanceId !== undefined && superseded.delete(newer.instanceId);
    superseded.delete(older.instanceId);
    superseded.add(older.instanceId);
    const [oldest] = superseded;
    if (oldest !== undefined && superseded.size > SUPERSEDED_INSTANCES_MAX_COUNT)
      superseded.delete(oldest);
    if (cameBack) {
      this.#count(newer, 'taking_turns', { ...counts, takingTurns: counts.takingTurns + 1 });
    }
    return cameBack;
  }

  /** The agent's token or machine is another from now on. */
  clear(agentId: string): void {
    this.#byAgent.delete(agentId);
  }

  #entry(agentId: string): Entry {
    const entry = this.#byAgent.get(agentId) ?? {
      counts: NONE,
      superseded: new Set(),
      reportAt: { clone_refused: 0, taking_turns: 0 },
    };
    this.#byAgent.set(agentId, entry);
    return entry;
  }

  #count(bearer: TokenBearer, type: DuplicateType, counts: DuplicateCounts): void {
    const entry = this.#entry(bearer.agentId);
    const others = counts.addresses.filter((address) => address !== bearer.address);
    const addresses = [...others, bearer.address].slice(-DUPLICATE_ADDRESSES_MAX_COUNT);
    entry.counts = { ...counts, addresses, lastAt: Date.now() };
    const now = this.#now();
    if (now < entry.reportAt[type]) return;
    entry.reportAt[type] = now + EVENT_INTERVAL_MS;
    this.#options.report(bearer, type, entry.counts);
  }
}

export function tokenBearer(agent: {
  readonly agentId: string;
  readonly serverId: string;
  readonly address: string;
  readonly hello: Hello;
}): TokenBearer {
  const { agentId, serverId, address, hello } = agent;
  return { agentId, serverId, address, host: hello.host, instanceId: hello.instance_id };
}

const NONE: DuplicateCounts = { refused: 0, takingTurns: 0, addresses: [] };
