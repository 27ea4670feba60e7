/** Numbers since the hub started, for /metrics. */
export interface HubCounters {
  readonly connected: number;
  readonly callsInFlight: number;
  readonly calls: number;
  readonly strayAnswers: number;
  readonly refusedHandshakes: number;
  readonly superseded: number;
  /** Rows of metrics and events that were not kept. */
  readonly telemetryDropped: number;
}
