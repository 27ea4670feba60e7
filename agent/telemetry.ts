import type { Logger } from 'pino';
import { HEALTH_METHOD, METRICS_METHOD } from '../protocol/json-rpc.ts';
import { measureHealth } from './collectors/health.ts';
import type { MetricsSampler } from './collectors/metrics.ts';
import { PeriodicPush } from './collectors/periodic-push.ts';
import type { LiveSettings } from './live-settings.ts';

export interface TelemetryOptions {
  readonly notify: (method: string, params: object) => void;
  readonly settings: LiveSettings;
  readonly sampler: MetricsSampler;
  readonly firstAfterMs: number;
  readonly log: Logger;
}

/** Pushes metrics and health at the intervals of the settings, until it is disposed of. */
export function startTelemetry(options: TelemetryOptions): Disposable {
  const { notify, settings, sampler, firstAfterMs, log } = options;
  const metrics = new PeriodicPush({
    name: METRICS_METHOD,
    measure: async (signal) => await sampler.measure(signal),
    push: (measured) => {
      notify(METRICS_METHOD, measured);
    },
    intervalMs: () => settings.config.metrics_interval * 1_000,
    firstAfterMs,
    log,
  });
  const health = new PeriodicPush({
    name: HEALTH_METHOD,
    measure: async () => measureHealth(),
    push: (measured) => {
      notify(HEALTH_METHOD, measured);
    },
    intervalMs: () => settings.config.health_interval * 1_000,
    firstAfterMs,
    log,
  });
  const unsubscribe = settings.onUpdate(() => {
    metrics.reschedule();
    health.reschedule();
  });
  return {
    [Symbol.dispose]: () => {
      unsubscribe();
      metrics[Symbol.dispose]();
      health[Symbol.dispose]();
    },
  };
}
