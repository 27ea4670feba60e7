import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { TomoError, toTomoError } from '../protocol/errors.ts';
import { jsonExcess } from '../protocol/json-limits.ts';
import { encodeError, encodeResult, type RpcRequest } from '../protocol/json-rpc.ts';
import {
  CALLS_PER_AGENT_MAX_COUNT,
  FRAME_MAX_BYTES,
  HELD_ANSWERS_MAX_BYTES,
  HELD_ANSWERS_MAX_COUNT,
} from '../protocol/limits.ts';
import type { Dispatch } from './dispatcher.ts';

export interface CommandLimits {
  readonly callsMaxCount: number;
  readonly frameMaxBytes: number;
  /** Commands that run or whose answer is held; past it the oldest answers go. */
  readonly heldMaxCount: number;
  readonly heldMaxBytes: number;
}

/** Where answers go at present. */
export interface Outlet {
  /** Calls `sent` in any case: what follows an answer does so even if nobody hears it. */
  readonly send: (text: string, sent?: () => void) => void;
  /** Whether the hub there says which answers it has stored. */
  readonly confirms: boolean;
}

interface RunningCommandsOptions {
  readonly dispatch: Dispatch;
  readonly log: Logger;
  readonly limits?: Partial<CommandLimits>;
}

interface Running {
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

interface HeldAnswer {
  readonly text: string;
  readonly bytes: number;
}

const DEFAULT_LIMITS: CommandLimits = {
  callsMaxCount: CALLS_PER_AGENT_MAX_COUNT,
  frameMaxBytes: FRAME_MAX_BYTES,
  heldMaxCount: HELD_ANSWERS_MAX_COUNT,
  heldMaxBytes: HELD_ANSWERS_MAX_BYTES,
};

// With the closing of the socket within the second an agent has between its signal and its end.
const ABORT_LIMIT_MS = 500;

/**
 * The commands of this process. They go on when the socket they came by closes, and each answer is
 * kept until the hub has stored it.
 */
export class RunningCommands implements AsyncDisposable {
  readonly #dispatch: Dispatch;
  readonly #log: Logger;
  readonly #limits: CommandLimits;
  readonly #running = new Map<string, Running>();
  /** The oldest first. */
  readonly #answers = new Map<string, HeldAnswer>();
  #answersBytes = 0;
  #outlet: Outlet | undefined;
  /** By which no more commands are taken: its hub cannot know that they run. */
  #leaving: Outlet | undefined;
  /** Whether answers are kept: whether the hub attached last confirms them. */
  #holds = true;

  constructor({ dispatch, log, limits }: RunningCommandsOptions) {
    this.#dispatch = dispatch;
    this.#log = log;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Ids of the commands that run, then of those whose answer the hub has not stored. */
  held(): string[] {
    return [...this.#running.keys(), ...this.#answers.keys()];
  }

  /**
   * Sends answers there from now on, first those that are held. The function returned ends that,
   * unless another outlet took over; what was begun for a hub that confirms nothing ends with it.
   */
  attach(outlet: Outlet): () => void {
    this.#outlet = outlet;
    this.#holds = outlet.confirms;
    if (outlet.confirms) void this.#sendHeld(outlet);
    else this.#forgetAnswers();
    return () => {
      if (this.#leaving === outlet) this.#leaving = undefined;
      if (this.#outlet !== outlet) return;
      this.#outlet = undefined;
      if (outlet.confirms) return;
      this.abortAll(new TomoError('CONNECTION_LOST', 'The socket to the hub closed.'));
    };
  }

  /**
   * Takes no more commands of the present outlet: the hello to the next one says which are held, and
   * the hub takes any other for lost. The function returned takes them again.
   */
  leave(): () => void {
    this.#leaving = this.#outlet;
    return () => {
      this.#leaving = undefined;
    };
  }

  /**
   * Starts a command that came by an outlet, or answers why not. One that runs or was answered is not
   * started again.
   */
  start(request: RpcRequest, from: Outlet | undefined = this.#outlet): void {
    const { id } = request;
    const answer = this.#answers.get(id);
    if (answer !== undefined) {
      this.#send(answer.text);
      return;
    }
    const refusal = this.#refusal(id, from);
    if (refusal !== undefined) {
      this.#send(refusal);
      return;
    }
    const controller = new AbortController();
    this.#running.set(id, { controller, done: this.#serve(request, controller.signal) });
    this.#trim();
  }

  cancel(id: string): void {
    const reason = new TomoError('COMMAND_CANCELLED', 'The caller cancelled.');
    this.#running.get(id)?.controller.abort(reason);
  }

  /** The hub has these answers for good. */
  stored(ids: readonly string[]): void {
    for (const id of ids) this.#forget(id);
  }

  /** Aborts every command. No answer is kept: neither theirs nor earlier ones. */
  abortAll(reason: TomoError): void {
    this.#holds = false;
    this.#forgetAnswers();
    for (const { controller } of this.#running.values()) controller.abort(reason);
  }

  /** Resolves when no command runs. */
  async idle(): Promise<void> {
    // One may have begun while the others ended.
    while (this.#running.size > 0) {
      await Promise.all([...this.#running.values()].map(({ done }) => done));
    }
  }

  /** For the end of the process: aborts every command and waits a short time for their answers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abortAll(new TomoError('CONNECTION_LOST', 'The agent is ending.'));
    await Promise.race([this.idle(), delay(ABORT_LIMIT_MS, undefined, { ref: false })]);
  }

  #refusal(id: string, from: Outlet | undefined): string | undefined {
    if (this.#running.has(id)) {
      // Answered without the id, or the hub would take it for the answer of the call that runs.
      const facts = { id };
      return encodeError(null, new TomoError('INVALID_REQUEST', 'This id is in use.', { facts }));
    }
    if (from !== undefined && from === this.#leaving) {
      const text = 'This agent is moving to another address of its hub; call again in a moment.';
      return encodeError(id, new TomoError('LIMIT_REACHED', text));
    }
    const limit = this.#limits.callsMaxCount;
    if (this.#running.size < limit) return undefined;
    const text = `This agent runs ${limit} commands already; wait for one to end.`;
    return encodeError(id, new TomoError('LIMIT_REACHED', text, { facts: { limit } }));
  }

  async #serve({ id, method, params }: RpcRequest, signal: AbortSignal): Promise<void> {
    let answer: string;
    let acts: (() => void)[] = [];
    const afterAnswer = (act: () => void): void => {
      acts.push(act);
    };
    try {
      const context = { signal, afterAnswer };
      answer = this.#encode(id, await this.#dispatch(method, params ?? {}, context));
    } catch (error) {
      const shown = toTomoError(error);
      if (shown !== error) this.#log.error({ method, err: error }, 'answer could not be sent');
      answer = encodeError(id, shown);
      acts = [];
    }
    this.#running.delete(id);
    if (this.#holds) this.#hold(id, answer);
    this.#send(answer, () => {
      for (const act of acts) act();
    });
  }

  #encode(id: string, result: unknown): string {
    const text = encodeResult(id, result);
    const limit = this.#limits.frameMaxBytes;
    if (Buffer.byteLength(text) > limit) throw tooLarge(`is larger than ${limit} bytes`, { limit });
    const excess = jsonExcess(text);
    if (excess !== undefined) throw tooLarge(`has too many ${excess}`, { excess });
    return text;
  }

  #hold(id: string, text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#answers.set(id, { text, bytes });
    this.#answersBytes += bytes;
    this.#trim();
  }

  #trim(): void {
    const { heldMaxCount, heldMaxBytes } = this.#limits;
    for (const id of this.#answers.keys()) {
      const count = this.#running.size + this.#answers.size;
      if (count <= heldMaxCount && this.#answersBytes <= heldMaxBytes) return;
      // One that was sent will rarely be asked for again.
      const level = this.#outlet === undefined ? 'warn' : 'debug';
      this.#log[level]({ command: id }, 'an answer that the hub has not stored is dropped');
      this.#forget(id);
    }
  }

  #forget(id: string): void {
    this.#answersBytes -= this.#answers.get(id)?.bytes ?? 0;
    this.#answers.delete(id);
  }

  #forgetAnswers(): void {
    this.#answers.clear();
    this.#answersBytes = 0;
  }

  /** One after the other: together they could fill the memory a second time. */
  async #sendHeld(outlet: Outlet): Promise<void> {
    // Not those that are added meanwhile: they were sent.
    const ids = [...this.#answers.keys()];
    for (const id of ids) {
      const answer = this.#answers.get(id);
      if (this.#outlet !== outlet || answer === undefined) continue;
      await new Promise<void>((resolve) => {
        outlet.send(answer.text, resolve);
      });
    }
  }

  #send(text: string, sent: () => void = () => undefined): void {
    if (this.#outlet === undefined) sent();
    else this.#outlet.send(text, sent);
  }
}

function tooLarge(how: string, facts: Record<string, unknown>): TomoError {
  const text = `The answer ${how}. Ask for less: filter, or take a part.`;
  return new TomoError('RESULT_TOO_LARGE', text, { facts });
}
