import {
  type ProgressParams,
  progressParamsSchema,
  type RpcResponse,
} from '../../protocol/json-rpc.ts';
import type { Acknowledge, Taking } from './command-outputs.ts';
import type { LateAnswer } from './late-answer.ts';
import { OutputAcks } from './output-acks.ts';
import { ResultPieces } from './result-pieces.ts';

/** A smaller piece of a result costs the hub more than it is worth. */
const WORTH_CHARS = 1_024;

interface AgentProgressOptions {
  /** Whether a call waits for the command by this socket, or the agent said that it holds it. */
  readonly isAwaited: (id: string) => boolean;
  /** Whether a result in pieces is kept: the hub itself knows of the command, whatever the agent said. */
  readonly keepsResult: (id: string) => boolean;
  readonly take: (progress: ProgressParams, acknowledge: Acknowledge) => Taking;
  /** Called for what belongs to no command of the agent. */
  readonly onStray: () => void;
  /** Whether it was sent. */
  readonly notify: (method: string, params: object) => boolean;
  readonly backlogBytes: () => number;
}

/** What one agent tells by one socket of commands under way: output, steps, and pieces of results. */
export class AgentProgress implements Disposable {
  readonly #options: AgentProgressOptions;
  readonly #acks: OutputAcks;
  readonly #pieces = new ResultPieces();

  constructor(options: AgentProgressOptions) {
    this.#options = options;
    this.#acks = new OutputAcks(options);
  }

  [Symbol.dispose](): void {
    this.#acks[Symbol.dispose]();
    this.#pieces.clear();
  }

  /** Takes the params of `$/progress`. Whether that much was asked for. */
  receive(params: unknown): boolean {
    const progress = progressParamsSchema.safeParse(params).data;
    if (progress === undefined || !this.#options.isAwaited(progress.id)) return this.#stray();
    return progress.stream === 'result' ? this.#keepPiece(progress) : this.#take(progress);
  }

  /** The answer with its result, which may have come in pieces; `bytes` is the size of one that has not. */
  complete(response: RpcResponse, bytes: number): LateAnswer {
    return this.#pieces.complete(response, bytes);
  }

  /** Nobody waits for the call's answer any more. */
  drop(id: string): void {
    this.#pieces.drop(id);
  }

  #keepPiece({ id, data = '' }: ProgressParams): boolean {
    if (!this.#options.keepsResult(id) || !this.#pieces.add(id, data)) return this.#stray();
    return data.length >= WORTH_CHARS;
  }

  #take(progress: ProgressParams): boolean {
    const { id, at, data } = progress;
    const taking = this.#options.take(progress, (bytes) => this.#acks.taken(id, bytes));
    if (taking !== 'stray') return taking === 'asked';
    // Unwanted, but the agent is not to wait for somebody who reads it.
    if (at !== undefined && data !== undefined) {
      this.#acks.taken(id, Math.min(at + Buffer.byteLength(data), Number.MAX_SAFE_INTEGER));
    }
    return this.#stray();
  }

  #stray(): boolean {
    this.#options.onStray();
    return false;
  }
}
