import {
  type Health,
  type Metrics,
  type MoveFailure,
  metricsSchema,
} from '../../protocol/telemetry.ts';
import type { Measurement } from '../db/metrics-repository.ts';

/** The newest metrics as text: parsed, small values take many times their bytes. */
interface LatestMetrics {
  readonly at: number;
  readonly text: string;
  readonly measurement: Measurement;
}

/** What each agent that is connected reported last. */
export class LatestReports {
  readonly #metrics = new Map<string, LatestMetrics>();
  readonly #health = new Map<string, { at: number; health: Health }>();
  readonly #moveFailure = new Map<string, { at: number; failure: MoveFailure }>();

  takeMetrics(metrics: Metrics, measurement: Measurement): void {
    const { agentId, at } = measurement;
    this.#metrics.set(agentId, { at, text: JSON.stringify(metrics), measurement });
  }

  takeHealth(agentId: string, health: Health, at: number): void {
    this.#health.set(agentId, { at, health });
  }

  takeMoveFailure(agentId: string, failure: MoveFailure, at: number): void {
    this.#moveFailure.set(agentId, { at, failure });
  }

  metrics(agentId: string): { at: number; metrics: Metrics } | undefined {
    const latest = this.#metrics.get(agentId);
    return latest && { at: latest.at, metrics: metricsSchema.parse(JSON.parse(latest.text)) };
  }

  measurement(agentId: string): Measurement | undefined {
    return this.#metrics.get(agentId)?.measurement;
  }

  health(agentId: string): { at: number; health: Health } | undefined {
    return this.#health.get(agentId);
  }

  moveFailure(agentId: string): { at: number; failure: MoveFailure } | undefined {
    return this.#moveFailure.get(agentId);
  }

  forget(agentId: string): void {
    this.#metrics.delete(agentId);
    this.#health.delete(agentId);
    this.#moveFailure.delete(agentId);
  }
}
