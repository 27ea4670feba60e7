import { dockerContainerHandlers } from '../../agent/commands/docker-containers.ts';
import { dockerEngineHandlers } from '../../agent/commands/docker-engine.ts';
import type { CommandOutput, Handlers } from '../../agent/commands/handler.ts';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { CATALOGUE, type ParamsInputOf, type ResultOf } from '../../protocol/commands/catalogue.ts';
import { commandContext } from './command-context.ts';

type LiveMethod = 'docker.containers.logs' | 'docker.containers.stats' | 'docker.events';

/** A method whose output is read while it runs, in this process. */
export class LiveCall<M extends LiveMethod> {
  readonly ended: Promise<ResultOf<M>>;
  readonly #controller = new AbortController();

  constructor(host: string, method: M, params: ParamsInputOf<M>, output: CommandOutput) {
    const docker = new DockerEngine(host);
    const handlers: Pick<Handlers, LiveMethod> = {
      ...dockerContainerHandlers(docker),
      ...dockerEngineHandlers(docker),
    };
    const context = commandContext({ signal: this.#controller.signal, output });
    const run = handlers[method] as (params: unknown, context: unknown) => Promise<ResultOf<M>>;
    this.ended = run(CATALOGUE[method].params.parse(params), context);
    // Looked at later.
    this.ended.catch(() => undefined);
  }

  cancel(): void {
    this.#controller.abort();
  }
}
