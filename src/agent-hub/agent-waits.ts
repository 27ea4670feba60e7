import { EventEmitter } from 'node:events';
import { TomoError } from '../../protocol/errors.ts';

/** Waits for what happens next to an agent. */
export class AgentWaits<T> {
  readonly #events = new EventEmitter<Record<string, [T]>>().setMaxListeners(0);

  /** The next value for the agent. Rejects with COMMAND_CANCELLED when `signal` aborts. */
  next(agentId: string, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onValue = (value: T): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      };
      const onAbort = (): void => {
        this.#events.off(agentId, onValue);
        reject(givenUp(signal));
      };
      if (signal.aborted) return onAbort();
      this.#events.once(agentId, onValue);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Ends all waits for the agent with a value. */
  end(agentId: string, value: T): void {
    this.#events.emit(agentId, value);
  }
}

function givenUp({ reason }: AbortSignal): TomoError {
  return new TomoError('COMMAND_CANCELLED', 'The wait for the agent was given up.', {
    cause: reason,
  });
}
