import type { Logger } from 'pino';
import { findCommand } from '../../protocol/commands/catalogue.ts';
import { type TomoError, toTomoError } from '../../protocol/errors.ts';
import type { Hello } from '../../protocol/handshake.ts';
import type { RpcResponse } from '../../protocol/json-rpc.ts';
import type { CommandEnd, CommandRepository, CommandRow } from '../db/command-repository.ts';
import { checkResult } from './command-gate.ts';
import { statusOfError, statusOfResult } from './command-outcome.ts';
import { answeredError, answerLost, detached, revokedMeanwhile } from './connection-errors.ts';
import { DetachedWrites } from './detached-writes.ts';

interface DetachedCommandsOptions {
  readonly commands: CommandRepository;
  readonly log: Logger;
}

/** An answer that no call waits for. */
export interface LateAnswer {
  readonly response: RpcResponse;
  /** Of the result as JSON. */
  readonly bytes: number;
}

/**
 * Commands whose agent went before it answered: their rows, until the agent brings the answers or
 * comes without them. What the database does not take is kept for `retry`, in its order.
 */
export class DetachedCommands {
  readonly #commands: CommandRepository;
  /** Agents that may have such commands, so that the arrival of any other reads nothing. */
  #agents = new Set<string>();
  readonly #writes: DetachedWrites;

  constructor({ commands, log }: DetachedCommandsOptions) {
    this.#commands = commands;
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
      await this.#commands.giveUp(ofOthers.map(idOf), 'failed', fault);
      await this.#commands.giveUp(ofThis.map(idOf), 'lost', fault);
      if (kept.length === 0) this.#agents.delete(agentId);
    };
    await this.#writes.write({ agentId, kind: 'came', run });
  }

  /** The agent cannot come back with anything. */
  async revoked(agentId: string): Promise<void> {
    if (!this.has(agentId)) return;
    const run = async (): Promise<void> => {
      const ids = (await this.#commands.detachedOf(agentId)).map(idOf);
      await this.#commands.giveUp(ids, 'lost', revokedMeanwhile());
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
      const row = await this.#commands.findDetached(id, agentId);
      // Of two answers that came together the first one counts.
      done(row !== undefined && (await this.#commands.finishDetached(id, endOf(row, answer, now))));
    };
    await this.#writes.write({ agentId, kind: 'answered', bytes: answer.bytes, run });
  }

  /** Tries again what could not be written. */
  async retry(): Promise<void> {
    await this.#writes.retry();
  }
}

/** Whether it is known that another process of the agent was asked. */
function isOfAnother({ instanceId }: Pick<CommandRow, 'instanceId'>, hello: Hello): boolean {
  return instanceId !== null && hello.instance_id !== undefined && instanceId !== hello.instance_id;
}

function idOf({ id }: Pick<CommandRow, 'id'>): string {
  return id;
}

function endOf(
  { method, startedAt }: Pick<CommandRow, 'method' | 'startedAt'>,
  { response, bytes }: LateAnswer,
  now: number,
): CommandEnd {
  const durationMs = Math.max(0, now - startedAt);
  if ('error' in response) return { ...failure(answeredError(response.error)), durationMs };
  try {
    const entry = findCommand(method);
    if (entry !== undefined) checkResult(method, entry, response.result);
  } catch (cause) {
    return { ...failure(toTomoError(cause)), durationMs, resultBytes: bytes };
  }
  return { status: statusOfResult(response.result), durationMs, resultBytes: bytes };
}

function failure(error: TomoError): Omit<CommandEnd, 'durationMs'> {
  const { code, message } = error;
  return { status: statusOfError(error), errorCode: code, errorMessage: message };
}
