import type { Logger } from 'pino';
import type { DuplicateCounts, DuplicateType, TokenBearer } from './duplicates.ts';
import type { TelemetryBuffer } from './telemetry-buffer.ts';

interface Subject {
  readonly agentId: string;
  readonly serverId: string;
}

/** What happens to agents: a line in the log and an event in the database. */
export class AgentJournal {
  readonly #log: Logger;
  readonly #telemetry: TelemetryBuffer;

  constructor(log: Logger, telemetry: TelemetryBuffer) {
    this.#log = log;
    this.#telemetry = telemetry;
  }

  record(agent: Subject, type: string, detail: Record<string, unknown>): void {
    this.#log.info({ server: agent.serverId, ...detail }, `agent ${type}`);
    this.#keep(agent, type, detail);
  }

  /** Another process uses the agent's token. */
  duplicate(bearer: TokenBearer, type: DuplicateType, counts: DuplicateCounts): void {
    const { address, host, instanceId } = bearer;
    const { refused, takingTurns } = counts;
    const count = type === 'clone_refused' ? refused : takingTurns;
    const detail = { address, count, host: host ?? null, instance_id: instanceId ?? null };
    this.#log.warn({ server: bearer.serverId, ...detail }, `agent ${type}`);
    this.#keep(bearer, type, detail);
  }

  #keep({ agentId, serverId }: Subject, type: string, detail: Record<string, unknown>): void {
    this.#telemetry.event({ agentId, serverId, type, detail, at: Date.now() });
  }
}
