import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.get_command_history;

export const getCommandHistoryTool = defineTool({
  name: 'get_command_history',
  title: 'See what was run',
  description:
    'Who ran which command on which server, when, and how it ended, the newest first; also the tools that change the fleet. Shows what runs (status running) and the command_id of what was run: {"server_id": "web-1", "limit": 5}; get_command shows its output and result.',
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('get_command_history', parsed, caller),
  }),
});
