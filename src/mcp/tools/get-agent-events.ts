import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.get_agent_events;

export const getAgentEventsTool = defineTool({
  name: 'get_agent_events',
  title: 'See what happened to agents',
  description:
    'What happened to agents and on their servers, the newest first: registered, connected, disconnected, copies that were refused, and what agents report themselves: {"server_id": "web-1", "since": "2026-01-31T00:00:00Z"}. Without server_id: of all servers. What people and programs ran is in get_command_history.',
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('get_agent_events', parsed, caller),
  }),
});
