import { setTimeout as delay } from 'node:timers/promises';
import { TomoError } from '../../protocol/errors.ts';
import type { CommandContext } from '../commands/handler.ts';

/** Who waits, and who is told of it. */
export interface Waiting {
  readonly signal: AbortSignal;
  readonly output: Pick<CommandContext['output'], 'progress'>;
}

const DELAYS = { firstDelayMs: 250, maxDelayMs: 5_000 };
// An engine that starts answers so for a while; one that goes on has another fault.
const REFUSALS_MAX_COUNT = 20;

/** Outlasts an engine that is away or restarts; the caller is told once when it goes and when it is back. */
export class EngineOutage {
  readonly #signal: AbortSignal;
  readonly #output: Waiting['output'];
  readonly #delays: typeof DELAYS;
  #failures = 0;
  #refusals = 0;
  #hurrying = new AbortController();

  constructor({ signal, output }: Waiting, delays = DELAYS) {
    this.#signal = signal;
    this.#output = output;
    this.#delays = delays;
  }

  /** What `act` answers, once there is an engine that lets it. */
  async outlast<T>(act: () => Promise<T>): Promise<T> {
    for (let failed = false; ; failed = true) {
      try {
        const answer = await act();
        if (failed) this.over();
        return answer;
      } catch (error) {
        await this.wait(error);
      }
    }
  }

  /** The engine serves. */
  over(): void {
    if (this.#failures > 0) this.#output.progress('The Docker engine answers again.');
    this.#failures = 0;
    this.#refusals = 0;
  }

  /** Waits before the next attempt, longer each time; throws what no waiting mends. */
  async wait(error: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    if (!(error instanceof TomoError) || !this.#mayPass(error)) throw error;
    if (this.#failures === 0) {
      this.#output.progress('The Docker engine does not answer; waiting for it.');
    }
    const { firstDelayMs, maxDelayMs } = this.#delays;
    const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** this.#failures);
    this.#failures += 1;
    const { signal: hurried } = this.#hurrying;
    const either = AbortSignal.any([this.#signal, hurried]);
    await delay(delayMs, undefined, { signal: either }).catch(() => undefined);
    this.#signal.throwIfAborted();
  }

  /** The engine is back, as it seems: tries at once what waits. */
  hurry(): void {
    this.#hurrying.abort();
    this.#hurrying = new AbortController();
  }

  #mayPass({ name, facts }: TomoError): boolean {
    if (name === 'DOCKER_UNAVAILABLE') return true;
    const { status } = facts;
    if (typeof status !== 'number' || status < 500 || status === NOT_IMPLEMENTED) return false;
    this.#refusals += 1;
    return this.#refusals <= REFUSALS_MAX_COUNT;
  }
}

const NOT_IMPLEMENTED = 501;
