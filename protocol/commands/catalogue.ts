import type { z } from 'zod';
import { agentCommands, configCommands } from './agent.ts';
import type { CommandEntry } from './define-command.ts';
import { dockerComposeCommands } from './docker-compose.ts';
import { dockerContainerCommands } from './docker-containers.ts';
import { dockerEngineCommands } from './docker-engine.ts';
import { dockerImageCommands } from './docker-images.ts';
import { dockerNetworkCommands } from './docker-networks.ts';
import { dockerVolumeCommands } from './docker-volumes.ts';
import { metricsCommands, systemCommands } from './system.ts';

/**
 * Every method an agent can have, by name. Validation in the hub, dispatch in the agent,
 * `list_agent_commands`, redaction and the reference in README all come from this one table.
 */
export const CATALOGUE = {
  ...systemCommands,
  ...metricsCommands,
  ...dockerContainerCommands,
  ...dockerImageCommands,
  ...dockerVolumeCommands,
  ...dockerNetworkCommands,
  ...dockerEngineCommands,
  ...dockerComposeCommands,
  ...agentCommands,
  ...configCommands,
};

export type Method = keyof typeof CATALOGUE;
/** Params as the agent's handler sees them: parsed, defaults filled in. */
export type ParamsOf<M extends Method> = z.output<(typeof CATALOGUE)[M]['params']>;
/** Params as a caller writes them. */
export type ParamsInputOf<M extends Method> = z.input<(typeof CATALOGUE)[M]['params']>;
export type ResultOf<M extends Method> = z.output<(typeof CATALOGUE)[M]['result']>;

const ENTRIES = new Map<string, CommandEntry>(Object.entries(CATALOGUE));

/** The entry of a method name that came from outside. */
export function findCommand(method: string): CommandEntry | undefined {
  return ENTRIES.get(method);
}

export function methodNames(): readonly Method[] {
  return Object.keys(CATALOGUE).filter(isMethod);
}

export function isMethod(name: string): name is Method {
  return Object.hasOwn(CATALOGUE, name);
}

/** `docker.containers.list` belongs to family `docker.containers`. */
export function familyOf(method: string): string {
  return method.slice(0, method.lastIndexOf('.'));
}
