import { dockerComposeHandlers } from '../../agent/commands/docker-compose.ts';
import { dockerContainerHandlers } from '../../agent/commands/docker-containers.ts';
import { dockerEngineHandlers } from '../../agent/commands/docker-engine.ts';
import type { CommandOutput, Handlers } from '../../agent/commands/handler.ts';
import { OwnContainer } from '../../agent/own-container/own-container.ts';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { CATALOGUE, type ParamsInputOf, type ResultOf } from '../../protocol/commands/catalogue.ts';
import { commandContext } from './command-context.ts';

type LiveMethod =
  | 'docker.compose.logs'
  | 'docker.containers.logs'
  | 'docker.containers.stats'
  | 'docker.events';

/** A method whose output is read while it runs, in this process. */
export class LiveCall<M extends LiveMethod> {
  readonly ended: Promise<ResultOf<M>>;
  readonly #controller = new AbortController();

  constructor(host: string, method: M, params: ParamsInputOf<M>, output: CommandOutput) {
    const docker = new DockerEngine(host);
    const own = new OwnContainer({ engine: docker, dataDir: '/data', isContained: false });
    const shell = () => Promise.reject(new Error('no shell here'));
    const handlers: Pick<Handlers, LiveMethod> = {
      ...dockerComposeHandlers({ engine: docker, own, shell }),
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
