import type { DockerEngine } from '../docker/docker-engine.ts';
import type { LiveSettings } from '../live-settings.ts';
import { agentHandlers } from './agent.ts';
import { dockerContainerHandlers } from './docker-containers.ts';
import { dockerEngineHandlers } from './docker-engine.ts';
import { dockerImageHandlers } from './docker-images.ts';
import { dockerNetworkHandlers } from './docker-networks.ts';
import { dockerVolumeHandlers } from './docker-volumes.ts';
import type { Handlers } from './handler.ts';
import { type SystemContext, systemHandlers } from './system.ts';

export interface HandlerContext extends SystemContext {
  readonly engine: DockerEngine;
  readonly settings: LiveSettings;
}

/** Every method of the catalogue: a missing one is a type error here. */
export function allHandlers(context: HandlerContext): Handlers {
  const { engine, settings } = context;
  return {
    ...systemHandlers(context),
    ...agentHandlers(settings),
    ...dockerContainerHandlers(engine),
    ...dockerImageHandlers(engine),
    ...dockerVolumeHandlers(engine),
    ...dockerNetworkHandlers(engine),
    ...dockerEngineHandlers(engine),
  } satisfies Handlers;
}
