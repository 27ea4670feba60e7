import { dockerContainerHandlers } from '../../agent/commands/docker-containers.ts';
import { dockerEngineHandlers } from '../../agent/commands/docker-engine.ts';
import { dockerImageHandlers } from '../../agent/commands/docker-images.ts';
import { dockerNetworkHandlers } from '../../agent/commands/docker-networks.ts';
import { dockerVolumeHandlers } from '../../agent/commands/docker-volumes.ts';
import type { CommandContext, CommandOutput } from '../../agent/commands/handler.ts';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import {
  findCommand,
  type Method,
  type ParamsInputOf,
  type ResultOf,
} from '../../protocol/commands/catalogue.ts';
import { commandContext } from './command-context.ts';

/** Carries out one method as a caller sees it; rejects with an error whose `name` is of the table. */
export type Call = <M extends Method>(
  method: M,
  params: ParamsInputOf<M>,
  signal?: AbortSignal,
) => Promise<ResultOf<M>>;

/** The same, and where the method says how far it is. */
export type DirectCall = <M extends Method>(
  method: M,
  params: ParamsInputOf<M>,
  signal?: AbortSignal,
  output?: CommandOutput,
) => Promise<ResultOf<M>>;

type AnyHandler = (params: unknown, context: CommandContext) => Promise<unknown>;

/** Calls the docker.* handlers in this process; params and results go through the catalogue's schemas. */
export function directCall(dockerHost: string): DirectCall {
  const docker = new DockerEngine(dockerHost);
  const handlers: Readonly<Record<string, unknown>> = {
    ...dockerContainerHandlers(docker),
    ...dockerImageHandlers(docker),
    ...dockerVolumeHandlers(docker),
    ...dockerNetworkHandlers(docker),
    ...dockerEngineHandlers(docker),
  };
  const call = async (
    method: string,
    params: unknown,
    signal = new AbortController().signal,
    output?: CommandOutput,
  ): Promise<unknown> => {
    const entry = findCommand(method);
    if (entry === undefined) throw new Error(`no method ${method} in the catalogue`);
    const handler = handlers[method] as AnyHandler;
    const context = commandContext({ signal, ...(output && { output }) });
    const result = await handler(entry.params.parse(params), context);
    // As it would arrive: fields that are undefined do not travel.
    return entry.result.parse(JSON.parse(JSON.stringify(result)));
  };
  return call as DirectCall;
}
