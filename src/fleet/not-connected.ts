import { TomoError } from '../../protocol/errors.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { FleetContext } from './fleet-context.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Why an agent cannot be called, and what brings it back. */
export function notConnected(context: FleetContext, agent: AgentRow): TomoError {
  const facts = { server_id: agent.serverId, status: agent.status };
  if (agent.status === 'revoked') {
    return new TomoError(
      'AGENT_REVOKED',
      `Agent ${agent.serverId} was revoked. Call install_agent to install it again.`,
      { facts },
    );
  }
  if (agent.registeredAt === null) {
    return new TomoError(
      'AGENT_NOT_CONNECTED',
      `Agent ${agent.serverId} has never connected. Run the deploy_command of install_agent on that server; if its code has expired, call install_agent again.`,
      { facts },
    );
  }
  const seen = context.hub.telemetry.lastSeen(agent.id) ?? agent.lastSeen ?? agent.registeredAt;
  return new TomoError(
    'AGENT_NOT_CONNECTED',
    `Agent ${agent.serverId} is not connected (last seen ${ago(Date.now() - seen)}). Start its container or call install_agent.`,
    { facts },
  );
}

function ago(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.round(ms / 1_000))} s ago`;
  if (ms < HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min ago`;
  if (ms < DAY_MS) return `${Math.round(ms / HOUR_MS)} h ago`;
  return `${Math.round(ms / DAY_MS)} days ago`;
}
