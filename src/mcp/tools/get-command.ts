import { OPERATIONS } from '../../fleet/operations.ts';
import { commandText } from '../command-text.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.get_command;

export const getCommandTool = defineTool({
  name: 'get_command',
  title: 'See or await a command',
  description:
    'How a command of send_agent_command or run_on_agents stands, whoever started it: {"command_id": "...", "wait_seconds": 45} waits for its end. While it runs: its newest output (of a following method the first that was not read); with offset, the output from there on, and wait_seconds then waits for more. Afterwards: its result, kept for 24 hours; result_offset pages through a long one. Output of following methods (logs) is read page by page with offset, and waits for its reader: only an offset says that what lies before was read.',
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => {
    const structured = await fleet.perform('get_command', parsed, caller);
    const isError = !['succeeded', 'running', 'detached'].includes(structured.status);
    return { structured, text: commandText(structured), isError };
  },
});
