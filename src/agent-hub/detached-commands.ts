import type { Logger } from 'pino';
import { findCommand } from '../../protocol/commands/catalogue.ts';
import type { Streams } from '../../protocol/commands/define-command.ts';
import type { TomoError } from '../../protocol/errors.ts';
import type { Hello } from '../../protocol/handshake.ts';
import type { CommandEnd, CommandRepository, CommandRow } from '../db/command-repository.ts';
import { AgentWaits } from './agent-waits.ts';
import { answerLost, detached, revokedMeanwhile } from './connection-errors.ts';
import { DetachedWrites } from './detached-writes.ts';
import { endByAnswer, endByError, type LateAnswer } from './late-answer.ts';

interface DetachedCommandsOptions {
  readonly commands: CommandRepository;
  readonly log: Logger;
  /** Called when the row of a command says how it ended. */
  readonly onEnded: (id: string) => void;
}

/**
 * Commands whose agent went before it answered: their rows, until the agent brings the answers or
 * comes without them. What the database does not take is kept for `retry`, in its order.
 */
export class DetachedCommands {
  readonly #commands: CommandRepository;
  readonly #log: Logger;
  readonly #onEnded: (id: string) => void;
  readonly #ends = new AgentWaits<void>();
  /** Agents that may have such commands, so that the arrival of any other reads nothing. */
  #agents = new Set<string>();
  readonly #writes: DetachedWrites;

  constructor({ commands, log, onEnded }: DetachedCommandsOptions) {
    this.#commands = commands;
    this.#log = log;
    this.#onEnded = onEnded;
    this.#writes = new DetachedWrites(log);
  }

  /** For the start of the program. Throws DatabaseError. */
  async start(now: number): Promise<void> {
    await this.#commands.endRun(now);
    this.#agents = new Set(await this.#commands.agentsWithDetached());
  }

  has(agentId: string): boolean {
    return this.#agents.has(agentId);
  }

  /**
   * Of some commands those that are detached ones of that very agent, and how their output travels.
   * Undefined if the database refuses: then their output is not kept.
   */
  async streamsOf(
    agentId: string,
    ids: readonly string[],
  ): Promise<Map<string, Streams> | undefined> {
    const streams = new Map<string, Streams>();
    if (!this.has(agentId)) return streams;
    const held = new Set(ids);
    try {
      for (const { id } of await this.#commands.detachedOf(agentId)) {
        const row = held.has(id) ? await this.#commands.find(id) : undefined;
        if (row !== undefined) streams.set(id, findCommand(row.method)?.streams ?? 'none');
      }
    } catch (error) {
      this.#log.error({ err: error }, 'output of commands that an agent goes on with is not kept');
      return undefined;
    }
    return streams;
  }

  /**
   * Resolves when the row of the command says how it ended; at once if it does already, or there is none.
   * Rejects with COMMAND_CANCELLED when `signal` aborts. Throws DatabaseError.
   */
  async waitForEnd(id: string, signal: AbortSignal): Promise<void> {
    const end = this.#ends.next(id, signal);
    // Nobody waits for it if the database refuses.
    end.catch(() => undefined);
    // Asked for once the wait has begun: it may end in between.
    const row = await this.#commands.find(id);
    if (row?.status !== 'detached' && row?.status !== 'running') this.#ends.end(id);
    await end;
  }

  /** The agent's socket closed with these commands under way. */
  async went(agentId: string, serverId: string, ids: readonly string[]): Promise<void> {
    this.#agents.add(agentId);
    const now = Date.now();
    const run = async (): Promise<void> => {
      await this.#commands.detach(ids, detached(serverId), now);
      // An arrival that was written meanwhile knew nothing of these.
      this.#agents.add(agentId);
    };
    await this.#writes.write({ agentId, kind: 'went', run });
  }

  /**
   * The agent is there: ends those of its commands that it does not hold, but for those of its other
   * processes that are still connected.
   */
  async came(agentId: string, hello: Hello, others: readonly Hello[]): Promise<void> {
    if (!this.has(agentId)) return;
    const held = new Set([hello, ...others].flatMap((each) => each.held ?? []));
    const instances = new Set(others.map(({ instance_id }) => instance_id));
    instances.delete(hello.instance_id);
    const run = async (): Promise<void> => {
      const rows = await this.#commands.detachedOf(agentId);
      const kept = rows.filter(
        ({ id, instanceId }) => held.has(id) || (instanceId !== null && instances.has(instanceId)),
      );
      const gone = rows.filter((row) => !kept.includes(row));
      const ofOthers = gone.filter((row) => isOfAnother(row, hello));
      const ofThis = gone.filter((row) => !isOfAnother(row, hello));
      const fault = answerLost();
      await this.#giveUp(ofOthers.map(idOf), 'failed', fault);
      await this.#giveUp(ofThis.map(idOf), 'lost', fault);
      if (kept.length === 0) this.#agents.delete(agentId);
    };
    await this.#writes.write({ agentId, kind: 'came', run });
  }

  /** The agent cannot come back with anything. */
  async revoked(agentId: string): Promise<void> {
    if (!this.has(agentId)) return;
    const run = async (): Promise<void> => {
      const ids = (await this.#commands.detachedOf(agentId)).map(idOf);
      await this.#giveUp(ids, 'lost', revokedMeanwhile());
      this.#agents.delete(agentId);
    };
    await this.#writes.write({ agentId, kind: 'revoked', run });
  }

  /**
   * Ends the row of a detached command of that very agent. Calls `done` when nothing is left to be
   * written, with whether it was one.
   */
  async answered(
    agentId: string,
    answer: LateAnswer,
    done: (wasDetached: boolean) => void,
  ): Promise<void> {
    if (!this.has(agentId)) return done(false);
    const { id } = answer.response;
    const now = Date.now();
    const run = async (): Promise<void> => {
      // Of two answers that came together the first one counts.
      done(await this.#finish(agentId, id, (row) => endByAnswer(row, answer, now)));
    };
    await this.#writes.write({ agentId, kind: 'answered', bytes: answer.bytes, run });
  }

  /** Ends the row of a detached command of that very agent that is stopped for a reason of the hub's own. */
  async stopped(agentId: string, id: string, why: TomoError): Promise<void> {
    const now = Date.now();
    const run = async (): Promise<void> => {
      await this.#finish(agentId, id, (row) => endByError(row, why, now));
    };
    await this.#writes.write({ agentId, kind: 'stopped', run });
  }

  /** Tries again what could not be written. */
  async retry(): Promise<void> {
    await this.#writes.retry();
  }

  /** False if it is no detached command of that agent. */
  async #finish(
    agentId: string,
    id: string,
    endOf: (row: CommandRow) => CommandEnd,
  ): Promise<boolean> {
    const row = await this.#commands.find(id);
    if (row?.agentId !== agentId || row.status !== 'detached') return false;
    const hasEnded = await this.#commands.finishDetached(id, endOf(row));
    if (hasEnded) this.#tell(id);
    return hasEnded;
  }

  async #giveUp(
    ids: readonly string[],
    status: 'failed' | 'lost',
    fault: TomoError,
  ): Promise<void> {
    await this.#commands.giveUp(ids, status, fault);
    for (const id of ids) this.#tell(id);
  }

  #tell(id: string): void {
    this.#onEnded(id);
    this.#ends.end(id);
  }
}

/** Whether it is known that another process of the agent was asked. */
function isOfAnother({ instanceId }: Pick<CommandRow, 'instanceId'>, hello: Hello): boolean {
  return instanceId !== null && hello.instance_id !== undefined && instanceId !== hello.instance_id;
}

function idOf({ id }: Pick<CommandRow, 'id'>): string {
  return id;
}
