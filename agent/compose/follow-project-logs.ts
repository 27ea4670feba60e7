import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { toDockerError } from '../../docker-engine/docker-errors.ts';
import { CATALOGUE, type ParamsOf, type ResultOf } from '../../protocol/commands/catalogue.ts';
import { TomoError } from '../../protocol/errors.ts';
import { COMPOSE_FOLLOWED_MAX_COUNT } from '../../protocol/limits.ts';
import { readContainerLogs } from '../commands/docker-container-logs.ts';
import type { CommandContext, Handler } from '../commands/handler.ts';
import { EngineOutage } from '../docker/engine-outage.ts';
import { type ComposeContainer, listMembers, requireMembers } from './compose-containers.ts';
import { inPlaceOfLog } from './compose-logs.ts';
import { NamedLines } from './named-lines.ts';

type Params = ParamsOf<'docker.compose.logs'>;
type Result = ResultOf<'docker.compose.logs'>;

const LOOK_EVERY_MS = 1_000;

/**
 * Passes on the lines of a project's containers as they come, also of those that it gets later, until
 * it has none any more or the time is up. All calls together follow a limited number of containers.
 */
export function projectLogFollower(docker: DockerEngine): Handler<'docker.compose.logs'> {
  const followed = new Set<string>();
  return async (params, context) => {
    const members = await requireMembers(docker, params, context.signal);
    if (members.length + followed.size > COMPOSE_FOLLOWED_MAX_COUNT) {
      throw tooMany(members.length, followed.size);
    }
    const follower = new ProjectFollower({ docker, params, context, followed });
    return await follower.run(members.map(({ container }) => container));
  };
}

interface FollowerOptions {
  readonly docker: DockerEngine;
  readonly params: Params;
  readonly context: CommandContext;
  /** What this and other calls follow. */
  readonly followed: Set<string>;
}

class ProjectFollower {
  readonly #docker: DockerEngine;
  readonly #params: Params;
  readonly #followed: Set<string>;
  readonly #context: CommandContext;
  readonly #lines: NamedLines;
  readonly #ending = new AbortController();
  readonly #endsAtMs: number;
  /** Ids of the containers that the project had at the first look: of others everything is wanted. */
  #first: ReadonlySet<string> = new Set();
  /** Those of the last look, but for those that the next one is to begin with. */
  #known = new Set<string>();
  /** Those that there was no room for, as was said. */
  readonly #leftOut = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  #gaps = 0;
  #fault: unknown;

  constructor({ docker, params, context, followed }: FollowerOptions) {
    const signal = AbortSignal.any([context.signal, this.#ending.signal]);
    this.#docker = docker;
    this.#params = params;
    this.#followed = followed;
    this.#lines = new NamedLines(context.output);
    this.#context = { ...context, signal };
    this.#endsAtMs = performance.now() + params.timeout * 1_000;
  }

  async run(containers: readonly ComposeContainer[]): Promise<Result> {
    const { signal } = this.#context;
    try {
      this.#first = new Set(containers.map(({ id }) => id));
      this.#begin(containers);
      const ended = await this.#watch();
      await Promise.all(this.#running);
      signal.throwIfAborted();
      return { ...this.#lines.written, ended, ...(this.#gaps > 0 && { gaps: this.#gaps }) };
    } catch (error) {
      throw toDockerError(this.#fault ?? error, { kind: 'engine' }, signal);
    } finally {
      this.#ending.abort();
      await Promise.all(this.#running);
    }
  }

  /** Begins with containers that are added, until there are none or the time is up. */
  async #watch(): Promise<NonNullable<Result['ended']>> {
    const time = AbortSignal.timeout(this.#leftMs);
    const signal = AbortSignal.any([this.#context.signal, time]);
    const outage = new EngineOutage({ signal, output: this.#lines });
    try {
      for (;;) {
        await delay(LOOK_EVERY_MS, undefined, { signal });
        const members = await outage.outlast(() => listMembers(this.#docker, this.#params, signal));
        if (members.length === 0) return 'containers_removed';
        this.#begin(members.map(({ container }) => container));
      }
    } catch (error) {
      if (time.aborted && !this.#context.signal.aborted) return 'timeout';
      throw error;
    }
  }

  #begin(containers: readonly ComposeContainer[]): void {
    const before = this.#known;
    this.#known = new Set(containers.map(({ id }) => id));
    for (const id of this.#leftOut) if (!this.#known.has(id)) this.#leftOut.delete(id);
    for (const container of containers) {
      if (before.has(container.id)) continue;
      const following = this.#follow(container)
        .catch((error: unknown) => {
          this.#fault ??= error;
          this.#ending.abort();
        })
        .finally(() => this.#running.delete(following));
      this.#running.add(following);
    }
  }

  async #follow({ id, name }: ComposeContainer): Promise<void> {
    const output = this.#lines.of(name);
    const say = async (words: string | undefined): Promise<void> => {
      if (words !== undefined) await output.write('stdout', Buffer.from(`${words}\n`));
    };
    if (this.#followed.size >= COMPOSE_FOLLOWED_MAX_COUNT) {
      this.#known.delete(id);
      if (this.#leftOut.has(id)) return;
      this.#leftOut.add(id);
      return await say(NOT_FOLLOWED);
    }
    const place = randomUUID();
    this.#followed.add(place);
    const { timestamps, tail } = this.#params;
    const from = this.#first.has(id) ? { tail } : { since: 0 };
    const { params: schema } = CATALOGUE['docker.containers.logs'];
    const params = schema.parse({ container: id, follow: true, timestamps, ...from });
    const timeout = this.#leftMs / 1_000;
    try {
      const readLogs = readContainerLogs(this.#docker);
      const { gaps = 0 } = await readLogs({ ...params, timeout }, { ...this.#context, output });
      this.#gaps += gaps;
    } catch (error) {
      const isAway = error instanceof TomoError && error.name === 'DOCKER_UNAVAILABLE';
      // Only before anything was read; the next look begins with it again.
      if (isAway) this.#known.delete(id);
      else await say(inPlaceOfLog(error));
    } finally {
      this.#followed.delete(place);
    }
  }

  get #leftMs(): number {
    return Math.max(0, Math.ceil(this.#endsAtMs - performance.now()));
  }
}

const NOT_FOLLOWED = `[not followed until there is room: ${COMPOSE_FOLLOWED_MAX_COUNT} containers are already; choose fewer with the param services]`;

function tooMany(count: number, followed: number): TomoError {
  const limit = COMPOSE_FOLLOWED_MAX_COUNT;
  return new TomoError(
    'LIMIT_REACHED',
    `This agent follows ${followed} containers for docker.compose.logs; with these ${count} they would be more than ${limit}. Choose some of the project's services with the param services, or end another such call with cancel_command.`,
    { facts: { count, followed, limit } },
  );
}
