import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Metrics, metricsSchema } from '../../protocol/telemetry.ts';
import { answering, send } from './commands.ts';
import type { TestClient } from './mcp-client.ts';
import type { Started } from './processes.ts';
import { connect, startAgent, startServer } from './tomo.ts';

/** Longer than a test takes: the agent measures when it is asked, and not by itself in between. */
const INTERVAL_SECONDS = 300;
/** Who asks within a quarter of a second gets the answer before. */
const REPEATED_MS = 500;
const SPAN_MS = 4_000;

/** A report of the agent, and what another source said just before and just after it. */
export interface Bracketed<T> {
  readonly metrics: Metrics;
  readonly before: T;
  readonly after: T;
}

/** Two reports one after the other: shares and rates of the second are of the time between them. */
export interface Span<T> {
  readonly first: Bracketed<T>;
  readonly second: Bracketed<T>;
}

/** An agent for this machine, asked for its metrics by an MCP client. */
export class MeasuredServer {
  readonly #client: TestClient;

  private constructor(client: TestClient) {
    this.#client = client;
  }

  static async start(started: Started, env: Record<string, string> = {}): Promise<MeasuredServer> {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const settings = { metrics_interval: INTERVAL_SECONDS };
    await client.callTool('configure_agents', { settings });
    await startAgent(started, server, client, 'web-1', env);
    await answering(client, 'web-1');
    return new MeasuredServer(client);
  }

  async metrics(): Promise<Metrics> {
    const { result, error } = await send(this.#client, 'web-1', 'metrics.get');
    expect(error).toBeUndefined();
    return metricsSchema.parse(result);
  }

  async bracketed<T>(read: () => Promise<T>): Promise<Bracketed<T>> {
    await delay(REPEATED_MS);
    const before = await read();
    const metrics = await this.metrics();
    return { metrics, before, after: await read() };
  }

  /** @param during what goes on meanwhile; some seconds in any case. */
  async span<T>(
    read: () => Promise<T>,
    during: () => Promise<unknown> = async () => undefined,
  ): Promise<Span<T>> {
    // What it measured when it connected is over with this.
    await this.metrics();
    const first = await this.bracketed(read);
    await Promise.all([delay(SPAN_MS), during()]);
    return { first, second: await this.bracketed(read) };
  }
}

/** The least and the most that a share or a rate of the time between two reports can be. */
export function bounds<T>(
  { first, second }: Span<T>,
  counted: (reading: T) => number,
  passed: (reading: T) => number,
): { min: number; max: number } {
  const least = counted(second.before) - counted(first.after);
  const most = counted(second.after) - counted(first.before);
  return {
    min: least / (passed(second.after) - passed(first.before)),
    max: most / (passed(second.before) - passed(first.after)),
  };
}

export function expectWithin(
  value: number | undefined,
  { min, max }: { min: number; max: number },
  tolerance: number,
  what: string,
): void {
  expect(value, what).toBeGreaterThanOrEqual(min - tolerance);
  expect(value, what).toBeLessThanOrEqual(max + tolerance);
}

/** For what may have gone up or down meanwhile. */
export function around<T>({ before, after }: Bracketed<T>, value: (reading: T) => number) {
  const [a, b] = [value(before), value(after)];
  return { min: Math.min(a, b), max: Math.max(a, b) };
}
