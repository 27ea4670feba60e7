import { OPERATIONS } from '../../fleet/operations.ts';
import { commandText } from '../command-text.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.send_agent_command;

export const sendAgentCommandTool = defineTool({
  name: 'send_agent_command',
  title: 'Run a command on a server',
  description:
    'Runs one method on one server’s agent and waits for its result: {"server_id": "web-1", "method": "system.exec", "params": {"command": "uptime"}}. Methods and their params: list_agent_commands. Status running: it takes longer than wait_seconds and goes on; get_command waits on and shows its output, cancel_command stops it. wait_seconds: 0 starts it and answers at once. If your host cancels this call (some do after 60 s), the command is stopped: for longer work keep wait_seconds below that and go on with get_command. Status detached: the agent’s connection closed meanwhile and the command may still run; get_command shows how it ended. A write that timed out may have taken effect: check before repeating it.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: true,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => {
    const structured = await fleet.perform('send_agent_command', parsed, caller);
    const { status } = structured;
    const isError = status !== 'succeeded' && status !== 'running';
    return { structured, text: commandText(structured), isError };
  },
});
