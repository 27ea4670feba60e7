import { TomoError } from '../../protocol/errors.ts';
import { CALLS_PER_AGENT_MAX_COUNT } from '../../protocol/limits.ts';

/** Calls given up whose deadlines are still known, beside those in flight; past it the oldest go. */
const DEADLINES_MAX_COUNT = 2 * CALLS_PER_AGENT_MAX_COUNT;

interface PendingCall<T> {
  readonly resolve: (result: T) => void;
  readonly reject: (error: TomoError) => void;
}

export interface WaitOptions {
  readonly id: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /**
   * Called once if the wait ends before the answer, by time-out or by the caller. Whether the agent
   * was told to stop.
   */
  readonly onGivenUp: () => boolean;
}

/**
 * The calls that wait for one agent's answer. An answer is matched by id within its own socket, so
 * that no other agent can answer it; each call ends exactly once.
 */
export class PendingCalls<T = unknown> {
  readonly #calls = new Map<string, PendingCall<T>>();
  readonly #deadlines = new Map<string, number>();
  readonly #whenNone: (() => void)[] = [];

  get count(): number {
    return this.#calls.size;
  }

  has(id: string): boolean {
    return this.#calls.has(id);
  }

  /** Ids of the calls that wait. */
  get ids(): string[] {
    return [...this.#calls.keys()];
  }

  /**
   * The latest deadline (monotonic ms) of the calls that were not answered, given up or not: an
   * agent may still work on them. Undefined if there is none.
   */
  get latestDeadline(): number | undefined {
    return this.#deadlines.size === 0 ? undefined : Math.max(...this.#deadlines.values());
  }

  /** Waits for the answer to `id`; rejects with a TomoError when it fails or the wait is over. */
  wait({ id, timeoutMs, signal, onGivenUp }: WaitOptions): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = (error: (told: boolean) => TomoError): void => {
        this.#settle(id, (call) => call.reject(error(onGivenUp())));
      };
      const timer = setTimeout(() => giveUp((told) => timedOut(timeoutMs, told)), timeoutMs);
      const onAbort = (): void => giveUp(cancelled);
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      this.#setDeadline(id, performance.now() + timeoutMs);
      this.#calls.set(id, {
        resolve: (result) => {
          end();
          resolve(result);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Ends the call with a result. False if no such call waits: late, repeated or invented. */
  resolve(id: string, result: T): boolean {
    this.#deadlines.delete(id);
    return this.#settle(id, (call) => call.resolve(result));
  }

  /** Ends the call with an error. False if no such call waits. */
  reject(id: string, error: TomoError): boolean {
    this.#deadlines.delete(id);
    return this.#settle(id, (call) => call.reject(error));
  }

  /** Resolves when no call waits. */
  none(): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenNone.push(resolve));
  }

  /** Ends every call, each with an error of its own. */
  rejectAll(errorOf: (id: string) => TomoError): void {
    for (const id of this.#calls.keys()) this.reject(id, errorOf(id));
  }

  #setDeadline(id: string, deadline: number): void {
    this.#deadlines.set(id, deadline);
    if (this.#deadlines.size <= DEADLINES_MAX_COUNT) return;
    const [oldest] = this.#deadlines.keys();
    if (oldest !== undefined) this.#deadlines.delete(oldest);
  }

  #settle(id: string, end: (call: PendingCall<T>) => void): boolean {
    const call = this.#calls.get(id);
    if (call === undefined) return false;
    this.#calls.delete(id);
    end(call);
    if (this.#calls.size === 0) for (const resolve of this.#whenNone.splice(0)) resolve();
    return true;
  }
}

function timedOut(timeoutMs: number, told: boolean): TomoError {
  const outcome = told
    ? 'It was told to stop the command, which may have taken effect all the same'
    : 'It could not be told to stop: the command may go on and take effect';
  return new TomoError(
    'COMMAND_TIMED_OUT',
    `The agent did not answer within ${timeoutMs / 1_000} s. ${outcome}: check before you repeat it.`,
    { facts: { timeout_ms: timeoutMs, told_to_stop: told } },
  );
}

function cancelled(told: boolean): TomoError {
  const outcome = told
    ? 'the agent was told to stop. What was done until then stays done.'
    : 'the agent could not be told to stop: the command may go on and take effect.';
  return new TomoError('COMMAND_CANCELLED', `The call was cancelled, and ${outcome}`, {
    facts: { told_to_stop: told },
  });
}
