import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.list_agents;

export const listAgentsTool = defineTool({
  name: 'list_agents',
  title: 'List agents',
  description:
    'The servers and the state of their agents, by server_id; narrowed by status or labels, a page at a time. Start here when you do not know a server_id.',
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('list_agents', parsed, caller),
  }),
});
