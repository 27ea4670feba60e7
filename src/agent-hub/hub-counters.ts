/** Numbers since the hub started, for /metrics. */
export interface HubCounters {
  readonly connected: number;
  readonly callsInFlight: number;
  readonly calls: number;
  readonly strayAnswers: number;
  /** Messages about commands that are not under way, and output that the hub has no room for. */
  readonly strayProgress: number;
  readonly refusedHandshakes: number;
  readonly superseded: number;
  /** Sockets refused because their token belongs to another machine. */
  readonly clonesRefused: number;
  /** How often two processes of one agent replaced each other in turn. */
  readonly takingTurns: number;
  /** Rows of metrics and events that were not kept. */
  readonly telemetryDropped: number;
}
