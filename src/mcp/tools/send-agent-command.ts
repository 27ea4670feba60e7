import { z } from 'zod';
import { OPERATIONS, type OperationResult } from '../../fleet/operations.ts';
import { cutText, RESULT_TEXT_MAX_CHARS } from '../../fleet/text-limit.ts';
import { defineTool, type ToolAnswer } from '../define-tool.ts';

const { args, result } = OPERATIONS.send_agent_command;

const output = result.extend({
  result_text: z.string().optional().describe('The beginning of a result too long for one answer.'),
  truncated: z.boolean().optional(),
});

export const sendAgentCommandTool = defineTool({
  name: 'send_agent_command',
  title: 'Run a command on a server',
  description:
    'Runs one method on one server’s agent and waits for its result: {"server_id": "web-1", "method": "system.exec", "params": {"command": "uptime"}}. Methods and their params: list_agent_commands. A write that timed out or lost its connection may have taken effect: check before repeating it. Status detached: the agent’s connection closed meanwhile and the command may still run; get_command_history shows how it ended.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: true,
  },
  input: args,
  output,
  run: async (parsed, { fleet, caller }) =>
    answer(await fleet.perform('send_agent_command', parsed, caller)),
});

function answer(
  command: OperationResult<'send_agent_command'>,
): ToolAnswer<z.input<typeof output>> {
  const isError = command.status !== 'succeeded';
  if (command.error !== undefined) {
    const { name, code, message } = command.error;
    return { structured: command, text: `${name} (${code}): ${message}`, isError };
  }
  const text = JSON.stringify(command.result, null, 1);
  const cut = cutText(text);
  if (cut === undefined) return { structured: command, text, isError };
  const { result: _left, ...rest } = command;
  return {
    structured: { ...rest, truncated: true, result_text: cut },
    text: `${cut}\n[Cut at ${RESULT_TEXT_MAX_CHARS} of ${text.length} characters. Ask for less: a smaller tail, one object instead of all, or filter with system.exec.]`,
    isError,
  };
}
