/** What the agent itself asks of the Docker engine, apart from the commands. */
export interface EngineProbe {
  version(signal: AbortSignal): Promise<{ version: string; api_version: string }>;
  counts(signal: AbortSignal): Promise<{ running: number; stopped: number }>;
  /** The engine's own id, which stays the same over its restarts; empty if it has none. */
  id(signal: AbortSignal): Promise<string>;
}
