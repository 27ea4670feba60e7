/** Sends a notification, unless there is no open socket any more. */
export type Notify = (method: string, params: object) => void;

/**
 * Pushes to the hub on its own over whichever session there is, and keeps what the hub has not
 * acknowledged. Only the process that is the agent has sessions for it: no candidate.
 */
export interface Feed {
  /** A session has begun, the first or a later one; the returned function is called at its end. */
  attach(notify: Notify): () => void;
  /** Is shown every notification of the hub that is not about a call. */
  notified(method: string, params: unknown): void;
}
