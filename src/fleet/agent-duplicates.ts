import type { DuplicateCounts } from '../agent-hub/duplicates.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { type FleetContext, isoTime } from './fleet-context.ts';
import type { OperationResult } from './operations.ts';

type Duplicates = OperationResult<'get_agent_status'>['duplicates'];

/** Other processes that came with an agent's token, and what to do about them. */
export function duplicatesOf({ hub }: FleetContext, agent: AgentRow): Duplicates {
  const counts = hub.duplicates(agent.id);
  const steps = [
    ...(counts.refused > 0 ? [aboutRefused(agent.serverId, counts)] : []),
    ...(counts.takingTurns > 0 ? [aboutTakingTurns(agent.serverId)] : []),
  ];
  return {
    refused: counts.refused,
    taking_turns: counts.takingTurns,
    addresses: [...counts.addresses],
    last_at: isoTime(counts.lastAt),
    last_host: counts.lastHost ?? null,
    next_step: steps.length > 0 ? steps.join(' ') : null,
  };
}

function aboutRefused(serverId: string, { lastHost }: DuplicateCounts): string {
  const named = lastHost?.hostname === undefined ? '' : ` (${JSON.stringify(lastHost.hostname)})`;
  const machine = lastHost?.machine_id ?? lastHost?.engine_id;
  const accept = JSON.stringify({ server_ids: [serverId], settings: { accept_machine: machine } });
  return [
    `Another machine${named} came with a copy of this agent's token and was refused.`,
    'If it is a copy of the server, give it an agent of its own: install_agent with another server_id.',
    `If the server moved to it, stop the old agent, call configure_agents ${accept}, and restart the agent there.`,
    'If nobody knows it, the token was taken: revoke_agent, then install_agent.',
  ].join(' ');
}

function aboutTakingTurns(serverId: string): string {
  return [
    `Two processes use the token of ${serverId} on what looks like one machine and replace each other.`,
    'Stop one of them, or, if one is on a copy of a virtual machine, give that one an agent of its own: install_agent with another server_id, and there a data volume without the old agent.json.',
  ].join(' ');
}
