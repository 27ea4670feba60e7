import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import type { Access } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { plainFingerprint } from '../../protocol/hub-address.ts';
import { VERSION } from '../../protocol/version.ts';
import type { MoveTarget } from '../connection/move-target.ts';
import type { LiveSettings } from '../live-settings.ts';
import type { OwnContainer } from '../own-container/own-container.ts';
import { prepareRestart } from '../own-container/restart-agent.ts';
import { startUninstall } from '../own-container/uninstall-agent.ts';
import type { Handlers } from './handler.ts';

export interface AgentContext {
  readonly settings: LiveSettings;
  readonly engine: DockerEngine;
  readonly own: OwnContainer;
  /** Throws TomoError as Credentials.rotate does. */
  readonly rotateToken: (token: string) => Promise<void>;
  /** Throws TomoError as Ceiling.lower does. */
  readonly lowerAccess: (access: Access) => Promise<void>;
  /** What does the move, undefined if the agent is there. Throws TomoError as Connection.prepareMove does. */
  readonly prepareMove: (target: MoveTarget) => (() => void) | undefined;
  /** What this agent was given as DOCKER_HOST. */
  readonly dockerHost: string | undefined;
  /** Another program of ours started this one, and starts it again when it ends. */
  readonly hasParent: boolean;
  /** Ends this process in good order. */
  readonly stop: () => void;
  readonly onRestartFailure: (error: unknown) => void;
}

type AgentMethod =
  | 'agent.ping'
  | 'agent.restart'
  | 'agent.rotate_token'
  | 'agent.uninstall'
  | 'config.update';

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
    'agent.rotate_token': async ({ token }) => {
      await context.rotateToken(token);
      return { status: 'stored' };
    },
    'config.update': updateConfig(context),
  };
}

function updateConfig(context: AgentContext): Handlers['config.update'] {
  const { settings, lowerAccess, prepareMove } = context;
  return async (params, { afterAnswer }) => {
    const { access, server_url, server_fingerprint, log_collection, ...intervals } = params;
    if (server_url === undefined && server_fingerprint !== undefined) {
      throw new TomoError('INVALID_PARAMS', 'server_fingerprint: goes with server_url only.');
    }
    // Before anything is changed: it may be refused.
    const move =
      server_url && prepareMove({ url: server_url, fingerprint: pinOf(server_fingerprint) });
    if (access !== undefined) await lowerAccess(access);
    settings.update(intervals);
    if (log_collection !== undefined) settings.collectLogs(log_collection);
    const { config } = settings;
    if (!move) return { status: 'ok', config };
    afterAnswer(move);
    return { status: 'moving', config };
  };
}

function pinOf(fingerprint: string | null | undefined): string | null | undefined {
  return typeof fingerprint === 'string' ? plainFingerprint(fingerprint) : fingerprint;
}
