import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.get_agent_events;

export const getAgentEventsTool = defineTool({
  name: 'get_agent_events',
  title: 'See what happened to agents',
  description:
    'What happened to agents and on their servers, the newest first: registered, connected, disconnected, copies that were refused, and what agents tell of their engine: containers that started, died (with exit_code), ran out of memory or became unhealthy, images, volumes, networks, the engine itself. What crashed last night: {"type": "agent.container.die", "since": "12h"}. Without server_id: of all servers. at is when the hub heard of it, which since, until and the order go by; detail.at is the server’s own time, earlier if the server was cut off. What people and programs ran is in get_command_history.',
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
