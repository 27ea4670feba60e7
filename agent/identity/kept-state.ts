import type { AgentState, StateFile } from './state.ts';
import { StateNotWritableError, tokensOf } from './state.ts';

/** The registration of this process, in memory and in its file; changes are made one after the other. */
export class KeptState {
  readonly #file: StateFile;
  #state: AgentState | undefined;
  #changes: Promise<unknown> = Promise.resolve();

  constructor(file: StateFile, stored: AgentState | undefined) {
    this.#file = file;
    this.#state = stored;
  }

  get current(): AgentState | undefined {
    return this.#state;
  }

  /** Whether the registration awaits its promotion. */
  get isCandidate(): boolean {
    return this.#file.isCandidate;
  }

  /** Throws StateNotWritableError unless a state can be written now. */
  async assertWritable(): Promise<void> {
    await this.#file.assertWritable();
  }

  /**
   * A new registration in the place of any other. In memory at once and in any case: its code is
   * spent. Throws StateNotWritableError.
   */
  async register(state: AgentState, { isCandidate }: { isCandidate: boolean }): Promise<void> {
    this.#state = state;
    await this.#inTurn(() => this.#file.save(state, { isCandidate }));
  }

  /**
   * Changes the registration, on the disk first; nothing is written if `change` gives back the same
   * object, or after the registration was forgotten. Throws StateNotWritableError.
   */
  async change(change: (now: AgentState) => AgentState): Promise<void> {
    await this.#inTurn(async () => {
      const now = this.#state;
      const next = now && change(now);
      if (now === undefined || next === undefined || next === now) return;
      if (await this.#file.holdsAnother([...tokensOf(now), ...tokensOf(next)])) {
        throw new StateNotWritableError(
          'The agent’s state is not written: another process of this agent has put its own there.',
        );
      }
      await this.#file.save(next, { isCandidate: this.#file.isCandidate });
      if (this.#state === now) this.#state = next;
    });
  }

  /** A candidate's registration becomes the agent's. Throws StateNotWritableError. */
  async promote(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#file.isCandidate) await this.#file.promote();
    });
  }

  /** Removes the registration. Throws StateNotWritableError. */
  async forget(): Promise<void> {
    const forgotten = this.#state;
    this.#state = undefined;
    if (forgotten === undefined) return;
    await this.#inTurn(() => this.#file.forget(tokensOf(forgotten)));
  }

  async #inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.#changes.then(act);
    this.#changes = turn.catch(() => undefined);
    await turn;
  }
}
