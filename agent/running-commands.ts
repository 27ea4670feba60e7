import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { findCommand } from '../protocol/commands/catalogue.ts';
import type { Streams } from '../protocol/commands/define-command.ts';
import { TomoError, toTomoError } from '../protocol/errors.ts';
import { encodeError, type RpcRequest } from '../protocol/json-rpc.ts';
import {
  CALLS_PER_AGENT_MAX_COUNT,
  FRAME_MAX_BYTES,
  HELD_ANSWERS_MAX_BYTES,
  HELD_ANSWERS_MAX_COUNT,
} from '../protocol/limits.ts';
import type { CommandContext } from './commands/handler.ts';
import type { Dispatch } from './dispatcher.ts';
import { Answer } from './output/answer.ts';
import { type OutputTimings, RunningOutput } from './output/command-output.ts';
import { Deliveries } from './output/deliveries.ts';
import { type HeldAnswer, HeldAnswers } from './output/held-answers.ts';
import type { Outlet } from './output/outlet.ts';

export interface CommandLimits {
  readonly callsMaxCount: number;
  readonly frameMaxBytes: number;
  /** Commands that run or whose answer is held; past it the oldest answers go. */
  readonly heldMaxCount: number;
  readonly heldMaxBytes: number;
}

interface RunningCommandsOptions {
  readonly dispatch: Dispatch;
  readonly log: Logger;
  readonly limits?: Partial<CommandLimits>;
  readonly timings?: Partial<OutputTimings>;
  /** How the output of a method travels; as the catalogue says unless given. */
  readonly streamsOf?: (method: string) => Streams;
}

interface Running {
  readonly controller: AbortController;
  readonly output: RunningOutput;
  readonly done: Promise<void>;
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
  readonly #timings: Partial<OutputTimings>;
  readonly #streamsOf: (method: string) => Streams;
  readonly #running = new Map<string, Running>();
  readonly #answers: HeldAnswers;
  readonly #deliveries = new Deliveries((outlet) => outlet === this.#outlet);
  #outlet: Outlet | undefined;
  /** By which no more commands are taken: its hub cannot know that they run. */
  #leaving: Outlet | undefined;
  /** Whether answers are kept: whether the hub attached last confirms them. */
  #holds = true;

  constructor({ dispatch, log, limits, timings, streamsOf }: RunningCommandsOptions) {
    this.#dispatch = dispatch;
    this.#log = log;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#timings = timings ?? {};
    this.#streamsOf = streamsOf ?? streamsInCatalogue;
    this.#answers = new HeldAnswers(this.#limits, log);
  }

  /** Ids of the commands that run, then of those whose answer the hub has not stored. */
  held(): string[] {
    return [...this.#running.keys(), ...this.#answers.ids];
  }

  /**
   * Sends output and answers there from now on, first what is held. The function returned ends that,
   * unless another outlet took over; what was begun for a hub that confirms nothing ends with it.
   */
  attach(outlet: Outlet): () => void {
    this.#attachOutputs(outlet);
    this.#holds = outlet.confirms;
    if (outlet.confirms) void this.#sendHeld(outlet);
    else this.#answers.clear();
    return () => {
      if (this.#leaving === outlet) this.#leaving = undefined;
      if (this.#outlet !== outlet) return;
      this.#attachOutputs(undefined);
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
    const held = this.#answers.get(id);
    if (held !== undefined) {
      void this.#deliveries.send(held.answer, this.#outlet);
      return;
    }
    const refusal = this.#refusal(id, from);
    if (refusal !== undefined) {
      this.#outlet?.send(refusal);
      return;
    }
    const controller = new AbortController();
    const { signal } = controller;
    const mode = this.#streamsOf(request.method);
    const output = new RunningOutput({ id, mode, signal, timings: this.#timings });
    output.attach(this.#outlet);
    this.#running.set(id, { controller, output, done: this.#serve(request, signal, output) });
    this.#trim();
  }

  cancel(id: string): void {
    const reason = new TomoError('COMMAND_CANCELLED', 'The caller cancelled.');
    this.#running.get(id)?.controller.abort(reason);
    // Or its answer would wait for somebody to read what came before it.
    this.#answers.get(id)?.output.discard();
  }

  /** The hub has the output of a command up to this position. */
  acknowledged(id: string, position: number): void {
    const { output } = this.#running.get(id) ?? this.#answers.get(id) ?? {};
    output?.ack(position);
  }

  /** The hub has these answers for good. */
  stored(ids: readonly string[]): void {
    for (const id of ids) this.#answers.forget(id);
  }

  /** Aborts every command. No answer is kept: neither theirs nor earlier ones. */
  abortAll(reason: TomoError): void {
    this.#holds = false;
    this.#answers.clear();
    for (const { controller } of this.#running.values()) controller.abort(reason);
  }

  /** Resolves when no command runs and no answer is on its way in pieces. */
  async idle(): Promise<void> {
    // One may have begun while the others ended.
    while (this.#running.size > 0) {
      await Promise.all([...this.#running.values()].map(({ done }) => done));
    }
    await this.#deliveries.idle();
  }

  /** For the end of the process: aborts every command and waits a short time for their answers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abortAll(new TomoError('CONNECTION_LOST', ENDING));
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

  async #serve(request: RpcRequest, signal: AbortSignal, output: RunningOutput): Promise<void> {
    const { id, method } = request;
    let acts: (() => void)[] = [];
    const afterAnswer = (act: () => void): void => {
      acts.push(act);
    };
    let answer: Answer;
    try {
      const result = await this.#carryOut(request, { signal, afterAnswer, output });
      answer = Answer.result(id, result, output.seq, this.#limits.frameMaxBytes);
    } catch (error) {
      const shown = toTomoError(error);
      if (shown !== error) this.#log.error({ method, err: error }, 'answer could not be sent');
      answer = Answer.error(id, withReason(shown, signal));
      acts = [];
    }
    this.#running.delete(id);
    if (this.#holds) {
      this.#answers.add(answer, output);
      this.#trim();
    }
    void this.#deliveries.send(answer, this.#outlet).then(() => {
      for (const act of acts) act();
    });
  }

  async #carryOut({ method, params }: RpcRequest, context: ContextOfRun): Promise<unknown> {
    try {
      return await this.#dispatch(method, params ?? {}, context);
    } finally {
      await context.output.end();
    }
  }

  #attachOutputs(outlet: Outlet | undefined): void {
    this.#outlet = outlet;
    for (const { output } of this.#running.values()) output.attach(outlet);
    // That of held answers goes again with its answer.
    for (const { output } of this.#answers.values()) output.attach(undefined);
  }

  #trim(): void {
    this.#answers.trim(this.#running.size, { isHeard: this.#outlet !== undefined });
  }

  /** One after the other: together they could fill the memory a second time. */
  async #sendHeld(outlet: Outlet): Promise<void> {
    // Not those that are added meanwhile: they were sent.
    for (const id of this.#answers.ids) {
      const held = this.#answers.get(id);
      if (this.#outlet !== outlet || held === undefined) continue;
      // Output may have to wait for a reader, and nobody else with it.
      if (held.output.bytes > 0) void this.#sendWithOutput(held, outlet);
      else await this.#deliveries.send(held.answer, outlet);
    }
  }

  async #sendWithOutput({ answer, output }: HeldAnswer, outlet: Outlet): Promise<void> {
    await output.sendAgain(outlet);
    if (this.#outlet === outlet) await this.#deliveries.send(answer, outlet);
  }
}

const ENDING =
  'The agent’s process ended while the command ran (agent.restart, or it was stopped): see what was done before you repeat it.';

/** Handlers say of whatever stopped them that the command was cancelled, and what became of it. */
function withReason(error: TomoError, { aborted, reason }: AbortSignal): TomoError {
  if (!aborted || error.name !== 'COMMAND_CANCELLED' || !(reason instanceof TomoError))
    return error;
  if (reason.name === error.name) return error;
  return new TomoError(reason.name, `${reason.message} ${error.message}`, { cause: error });
}

type ContextOfRun = CommandContext & { readonly output: RunningOutput };

function streamsInCatalogue(method: string): Streams {
  return findCommand(method)?.streams ?? 'none';
}
