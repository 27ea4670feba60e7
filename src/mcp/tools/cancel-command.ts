import { OPERATIONS } from '../../fleet/operations.ts';
import { commandText } from '../command-text.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.cancel_command;

export const cancelCommandTool = defineTool({
  name: 'cancel_command',
  title: 'Stop a command',
  description:
    'Has the agent stop a command that runs, with all processes it started, and answers how it ended: {"command_id": "..."}. What it has done until then stays done. One that has ended already is left as it is.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: true,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => {
    const structured = await fleet.perform('cancel_command', parsed, caller);
    return { structured, text: commandText(structured) };
  },
});
