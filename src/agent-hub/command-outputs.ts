import type { Streams } from '../../protocol/commands/define-command.ts';
import type { TomoError } from '../../protocol/errors.ts';
import type { ProgressParams } from '../../protocol/json-rpc.ts';
import {
  DETACHED_MAX_MS,
  OUTPUT_KEPT_MAX_BYTES,
  OUTPUT_KEPT_OVERALL_MAX_BYTES,
  PIECE_MAX_BYTES,
  STREAM_WINDOW_BYTES,
} from '../../protocol/limits.ts';
import { AgentWaits } from './agent-waits.ts';
import { flat, KeptOutput } from './kept-output.ts';
import { outputUnread, tooMuchUnread } from './output-errors.ts';
import type { OutputPage } from './output-page.ts';
import { OutputRoom } from './output-room.ts';

/** What is kept of a line about how far a command is. */
const STEP_MAX_CHARS = 500;
/** A piece of fewer characters costs the hub more than it is worth. */
const WORTH_CHARS = 1_024;
/** What the output of a command that is over takes beside what is kept of it, about. */
const PAST_BYTES = 512;
/** How often it is looked for outputs that nobody reads, within the time they have. */
const SWEEPS_COUNT = 10;

/** How far a command is. */
export interface CommandStep {
  readonly message: string;
  /** 0 to 1, if that is known. */
  readonly fraction?: number;
}

/**
 * What a message about a running command was: output that there was room for, something the agent may
 * tell within reason, or nothing that belongs to a command of its.
 */
export type Taking = 'asked' | 'told' | 'stray';

/** Tells the agent that all of a command's output before the place `bytes` is taken. */
export type Acknowledge = (bytes: number) => void;

interface CommandOutputsOptions {
  /** A lossless stream that nobody reads for so long is ended, and output that is over is forgotten. */
  readonly unreadMaxMs: number;
  /** What the outputs of all commands may take. */
  readonly overallMaxBytes?: number;
  /** Ends a command, and says why; false if its agent is away. */
  readonly abandon: (agentId: string, id: string, why: TomoError) => boolean;
}

interface Output {
  readonly id: string;
  readonly agentId: string;
  readonly mode: Streams;
  readonly kept: KeptOutput;
  /** To the socket that the newest piece came by. */
  acknowledge: Acknowledge;
  /** What the agent was told is taken; undefined as long as it is not known where its output begins. */
  acknowledged: number | undefined;
  step: CommandStep | undefined;
  /** The end of its newest output. */
  tail: string;
  /** Monotonic times in milliseconds. */
  heardAt: number;
  readAt: number;
  /** How many wait for something new. */
  waiting: number;
  /** Whether somebody pages through it, who is to be told where it ended. */
  hasReader: boolean;
  hasEnded: boolean;
}

/** What commands put out while they run, until somebody reads it. */
export class CommandOutputs implements Disposable {
  readonly #options: CommandOutputsOptions;
  readonly #overallMaxBytes: number;
  readonly #outputs = new Map<string, Output>();
  readonly #live = new OutputRoom<Output>();
  /** Of commands that are over: these give way first. */
  readonly #past = new OutputRoom<Output>();
  readonly #changes = new AgentWaits<void>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: CommandOutputsOptions) {
    this.#options = options;
    this.#overallMaxBytes = options.overallMaxBytes ?? OUTPUT_KEPT_OVERALL_MAX_BYTES;
    this.#timer = setInterval(() => this.#sweep(), options.unreadMaxMs / SWEEPS_COUNT).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Bytes of memory that all output takes, about. */
  get bytes(): number {
    return this.#live.bytes + this.#past.bytes;
  }

  /**
   * Begins the output of a command that is sent; `isUnderWay` if it goes on somewhere, its beginning
   * having been told to an earlier hub.
   */
  open(
    id: string,
    command: { readonly agentId: string; readonly mode: Streams; readonly isUnderWay?: boolean },
  ): void {
    if (this.#outputs.has(id)) return;
    const { agentId, mode, isUnderWay = false } = command;
    const now = performance.now();
    this.#outputs.set(id, {
      id,
      agentId,
      mode,
      kept: new KeptOutput(isUnderWay ? undefined : 0),
      acknowledge: () => undefined,
      acknowledged: isUnderWay ? undefined : 0,
      step: undefined,
      tail: '',
      heardAt: now,
      readAt: now,
      waiting: 0,
      hasReader: false,
      hasEnded: false,
    });
  }

  /** Whether a command of that agent goes on, as far as is known here. */
  isLive(id: string, agentId: string): boolean {
    const output = this.#outputs.get(id);
    return output?.agentId === agentId && !output.hasEnded;
  }

  /** Takes what an agent tells of a command. */
  take(
    agentId: string,
    progress: ProgressParams,
    acknowledge: Acknowledge = () => undefined,
  ): Taking {
    const output = this.#outputs.get(progress.id);
    if (output === undefined || output.agentId !== agentId || output.hasEnded) return 'stray';
    output.heardAt = performance.now();
    output.acknowledge = acknowledge;
    const { stream, data, at } = progress;
    if (stream === undefined) return this.#takeStep(output, progress);
    if (output.mode === 'none' || stream === 'result') return 'stray';
    if (at === undefined || data === undefined) return 'stray';
    return this.#takePiece(output, { stream, text: data, at });
  }

  /**
   * Output from a place on, and undefined if the command has no output here: it is over, or never
   * began. All before that place is taken then; what lies after it can be read again. Without a
   * place nothing is taken: what is shown is the newest, or of a lossless output the first not taken.
   */
  read(
    id: string,
    { offset, maxChars }: { readonly offset?: number | undefined; readonly maxChars: number },
  ): OutputPage | undefined {
    const output = this.#outputs.get(id);
    if (output === undefined) return undefined;
    const { kept, mode, acknowledged = 0 } = output;
    output.readAt = performance.now();
    this.#roomOf(output).read(output);
    if (offset === undefined) {
      return kept.page(mode === 'lossless' ? acknowledged : kept.newestPlace(maxChars), maxChars);
    }
    output.hasReader = true;
    if (mode === 'lossless') this.#taken(output, offset);
    return kept.page(offset, maxChars);
  }

  /** Whether there is anything to read of a command's output, be it only where it ended. */
  has(id: string): boolean {
    return this.#outputs.has(id);
  }

  /** The place that a command's output has come to, as far as that is known. */
  end(id: string): number | undefined {
    return this.#outputs.get(id)?.kept.end;
  }

  /**
   * Resolves when there is new output or a step, or no more will come; at once if no output of that
   * command is live. Waiting is as good as reading. Rejects with COMMAND_CANCELLED when `signal` aborts.
   */
  async changed(id: string, signal: AbortSignal): Promise<void> {
    const output = this.#outputs.get(id);
    if (output === undefined || output.hasEnded) return;
    output.waiting += 1;
    try {
      await this.#changes.next(id, signal);
    } finally {
      output.waiting -= 1;
      output.readAt = performance.now();
    }
  }

  /** How far the command says it is, or else the last line of its output. */
  lastStep(id: string): CommandStep | undefined {
    const output = this.#outputs.get(id);
    if (output?.step !== undefined) return output.step;
    const message = output?.tail
      .split(/[\r\n]+/)
      .findLast((line) => line.trim() !== '')
      ?.trim();
    return message === undefined ? undefined : { message };
  }

  /** No more comes. What is unread stays for a while. */
  ended(id: string): void {
    const output = this.#outputs.get(id);
    if (output === undefined || output.hasEnded) return;
    this.#live.set(output, 0);
    output.hasEnded = true;
    output.acknowledge = () => undefined;
    output.heardAt = performance.now();
    if (output.kept.size === 0 && !output.hasReader) this.#outputs.delete(id);
    else this.#measure(output);
    this.#changes.end(id);
  }

  #takeStep(output: Output, { data, fraction }: ProgressParams): Taking {
    if (data === undefined && fraction === undefined) return 'told';
    const message = data === undefined ? (output.step?.message ?? '') : ending(data);
    output.step = { message, ...(fraction === undefined ? {} : { fraction }) };
    this.#changes.end(output.id);
    return 'told';
  }

  #takePiece(
    output: Output,
    piece: { readonly stream: 'stdout' | 'stderr'; readonly text: string; readonly at: number },
  ): Taking {
    const { kept, mode } = output;
    const bytes = Buffer.byteLength(piece.text);
    const end = piece.at + bytes;
    output.acknowledged ??= piece.at;
    const isTooMuch = bytes > PIECE_MAX_BYTES || !Number.isSafeInteger(end);
    if (isTooMuch || (mode === 'lossless' && !hasRoom(output, end))) return 'stray';
    if (!kept.add(piece)) {
      // Sent again on a new socket: what it was told of it may have been lost with the old one.
      output.acknowledge(output.acknowledged);
      return 'told';
    }
    output.tail = flat(`${output.tail}${ending(piece.text)}`.slice(-STEP_MAX_CHARS));
    if (mode === 'newest') {
      kept.shrink(OUTPUT_KEPT_MAX_BYTES);
      output.acknowledged = end;
      output.acknowledge(end);
    }
    this.#measure(output);
    this.#changes.end(output.id);
    this.#makeRoom();
    return mode === 'lossless' && piece.text.length >= WORTH_CHARS ? 'asked' : 'told';
  }

  /** Lets the agent send on past a place, and forgets what lies before it. */
  #taken(output: Output, offset: number): void {
    const { kept, acknowledged } = output;
    // Nobody has read to a place that there is not: what is unread is not given up for a wrong number.
    if (acknowledged === undefined || offset <= acknowledged || offset > (kept.end ?? 0)) return;
    kept.dropBefore(offset);
    this.#measure(output);
    output.acknowledged = offset;
    output.acknowledge(offset);
  }

  #measure(output: Output): void {
    this.#roomOf(output).set(output, output.kept.size + (output.hasEnded ? PAST_BYTES : 0));
  }

  #makeRoom(): void {
    while (this.bytes > this.#overallMaxBytes) {
      const output = this.#past.longestUnread() ?? this.#live.longestUnread();
      if (output === undefined) return;
      output.kept.shrink(0);
      this.#roomOf(output).set(output, 0);
      if (output.hasEnded) this.#outputs.delete(output.id);
      else if (output.mode === 'lossless') this.#abandon(output, tooMuchUnread());
    }
  }

  #roomOf({ hasEnded }: Output): OutputRoom<Output> {
    return hasEnded ? this.#past : this.#live;
  }

  #sweep(): void {
    const now = performance.now();
    const { unreadMaxMs } = this.#options;
    for (const output of this.#outputs.values()) {
      const isUnread = output.waiting === 0 && now - output.readAt >= unreadMaxMs;
      const heardMsAgo = now - output.heardAt;
      const isForgotten = !output.hasEnded && heardMsAgo >= DETACHED_MAX_MS;
      if ((output.hasEnded && isUnread && heardMsAgo >= unreadMaxMs) || isForgotten) {
        this.#forget(output);
      } else if (isUnread && output.mode === 'lossless' && !output.hasEnded) {
        this.#abandon(output, outputUnread(unreadMaxMs));
      }
    }
  }

  #abandon({ agentId, id }: Output, why: TomoError): void {
    if (this.#options.abandon(agentId, id, why)) this.ended(id);
  }

  #forget(output: Output): void {
    this.ended(output.id);
    this.#past.set(output, 0);
    this.#outputs.delete(output.id);
  }
}

/** Whether a lossless output may go on to a place. */
function hasRoom({ kept, acknowledged = 0 }: Output, end: number): boolean {
  return end <= acknowledged + STREAM_WINDOW_BYTES && kept.size <= OUTPUT_KEPT_MAX_BYTES;
}

function ending(text: string): string {
  return flat(text.slice(-STEP_MAX_CHARS).toWellFormed());
}
