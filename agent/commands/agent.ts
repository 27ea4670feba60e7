import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { VERSION } from '../../protocol/version.ts';
import type { LiveSettings } from '../live-settings.ts';
import type { OwnContainer } from '../own-container.ts';
import { prepareRestart } from '../restart-agent.ts';
import { startUninstall } from '../uninstall-agent.ts';
import type { Handlers } from './handler.ts';

export interface AgentContext {
  readonly settings: LiveSettings;
  readonly engine: DockerEngine;
  readonly own: OwnContainer;
  /** What this agent was given as DOCKER_HOST. */
  readonly dockerHost: string | undefined;
  /** Another program of ours started this one, and starts it again when it ends. */
  readonly hasParent: boolean;
  /** Ends this process in good order. */
  readonly stop: () => void;
  readonly onRestartFailure: (error: unknown) => void;
}

type AgentMethod = 'agent.ping' | 'agent.restart' | 'agent.uninstall' | 'config.update';

export function agentHandlers(context: AgentContext): Pick<Handlers, AgentMethod> {
  const { settings } = context;
  return {
    'agent.ping': async () => ({ status: 'ok', version: VERSION, agent_id: settings.agentId }),
    'agent.restart': async (_params, { signal, afterAnswer }) => {
      afterAnswer(await prepareRestart(context, signal));
      return { status: 'restarting' };
    },
    'agent.uninstall': async (_params, { signal }) => {
      const removed = await startUninstall(context, signal);
      return { status: 'uninstalling', ...removed };
    },
    'config.update': async (params) => {
      settings.update(params);
      return { status: 'ok', config: settings.config };
    },
  };
}
