import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.get_command_history;

export const getCommandHistoryTool = defineTool({
  name: 'get_command_history',
  title: 'See what was run',
  description:
    'Who ran which command on which server, when, and how it ended, the newest first; also the tools that change the fleet. Shows what became of a command that answered detached or timed_out: {"server_id": "web-1", "limit": 5}. Results themselves are not kept.',
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
