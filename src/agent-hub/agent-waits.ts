import { EventEmitter } from 'node:events';
import { TomoError } from '../../protocol/errors.ts';

/** Waits for what happens next to an agent, or to a command, each known by its id. */
export class AgentWaits<T> {
  readonly #events = new EventEmitter<Record<string, [T]>>().setMaxListeners(0);

  /** The next value for that id. Rejects with COMMAND_CANCELLED when `signal` aborts. */
  next(id: string, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onValue = (value: T): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      };
      const onAbort = (): void => {
        this.#events.off(id, onValue);
        reject(givenUp(signal));
      };
      if (signal.aborted) return onAbort();
      this.#events.once(id, onValue);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Ends all waits for that id with a value. */
  end(id: string, value: T): void {
    this.#events.emit(id, value);
  }
}

function givenUp({ reason }: AbortSignal): TomoError {
  return new TomoError('COMMAND_CANCELLED', 'The wait was given up.', {
    cause: reason,
  });
}
