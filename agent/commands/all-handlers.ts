import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import type { HubAddress } from '../connection/hub-address.ts';
import type { HubTransport } from '../connection/hub-transport.ts';
import { runPreflight } from '../preflight/run-preflight.ts';
import { type AgentContext, agentHandlers } from './agent.ts';
import { dockerComposeHandlers } from './docker-compose.ts';
import { dockerContainerHandlers } from './docker-containers.ts';
import { dockerEngineHandlers } from './docker-engine.ts';
import { dockerImageHandlers } from './docker-images.ts';
import { dockerNetworkHandlers } from './docker-networks.ts';
import { dockerVolumeHandlers } from './docker-volumes.ts';
import type { Handlers } from './handler.ts';
import { type SystemContext, systemHandlers } from './system.ts';
import { systemViewHandlers } from './system-views.ts';

export interface HandlerContext extends SystemContext, AgentContext {
  readonly engine: DockerEngine;
  /** Where the agent dials, and how it gets there. */
  readonly hubAddress: HubAddress;
  readonly transport: HubTransport;
  readonly dataDir: string;
}

/** Every method of the catalogue: a missing one is a type error here. */
export function allHandlers(context: HandlerContext): Handlers {
  const { engine } = context;
  return {
    ...systemHandlers(context),
    ...systemViewHandlers(context),
    'system.preflight': async (params, { signal }) => await runPreflight(context, params, signal),
    ...agentHandlers(context),
    ...dockerContainerHandlers(engine),
    ...dockerImageHandlers(engine),
    ...dockerVolumeHandlers(engine),
    ...dockerNetworkHandlers(engine),
    ...dockerEngineHandlers(engine),
    ...dockerComposeHandlers(context),
  } satisfies Handlers;
}
