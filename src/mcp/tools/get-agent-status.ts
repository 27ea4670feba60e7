import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.get_agent_status;

export const getAgentStatusTool = defineTool({
  name: 'get_agent_status',
  title: 'Get an agent’s status',
  description:
    'Everything about one server’s agent: whether it is connected (pinged for this answer), version, access, host, methods, settings, latest metrics and health, how old its token is, and whether others use a copy of it (duplicates, with the next step: tell the user).',
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('get_agent_status', parsed, caller),
  }),
});
