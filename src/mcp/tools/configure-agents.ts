import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.configure_agents;

export const configureAgentsTool = defineTool({
  name: 'configure_agents',
  title: 'Configure agents',
  description:
    'Changes settings of agents and keeps them. With server_ids or labels: of those agents. With neither: of the whole fleet. Intervals say how often agents report. log_collection has agents collect what their containers log ("all", {"label": "NAME"} or "off"), for search_logs; log_keep_mib is how much is kept of each agent. access lowers the most that chosen agents may do; it is never raised here. server_url lets agents move to another address of this server once it answers there; until then they stay, and get_agent_status says under move why. accept_machine takes the machine that get_agent_status shows as refused, by its machine_id, for the agent’s own: only when the user says that the agent was moved there. token_rotation_days, token_grace_minutes and code_ttl_minutes are for the fleet. applied says whether it holds for an agent already, note why not.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('configure_agents', parsed, caller),
  }),
});
