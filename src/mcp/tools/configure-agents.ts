import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.configure_agents;

export const configureAgentsTool = defineTool({
  name: 'configure_agents',
  title: 'Configure agents',
  description:
    'Changes how often agents report (settings, in seconds) and keeps it. With server_ids or labels: those agents. With neither: the default of the whole fleet. Connected agents take it at once, the others when they connect.',
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
