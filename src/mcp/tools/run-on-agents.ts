import { OPERATIONS, type OperationResult } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';
import { dataText } from '../tool-result.ts';

const { args, result } = OPERATIONS.run_on_agents;

type RunResult = OperationResult<'run_on_agents'>;

export const runOnAgentsTool = defineTool({
  name: 'run_on_agents',
  title: 'Run a command on many servers',
  description:
    'Runs one method on many servers’ agents and waits for all of them: {"labels": {"role": "web"}, "method": "system.exec", "params": {"command": "uptime -p"}}. Choose the servers by exactly one of server_ids, labels, or all: true. Equal answers come once with their servers; servers without an answer are in failures, the others are not affected. Long results are cut (truncated: true): get_command with rest’s command_id and result_offset shows the rest; do not run it again for that. If your host cancels this call (some do after 60 s), the command is stopped on every server: start longer work with send_agent_command. A write that timed out or lost its connection may have taken effect: check before repeating it.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: true,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => {
    const structured = await fleet.perform('run_on_agents', parsed, caller);
    return { structured, text: textOf(structured), isError: structured.counts.succeeded === 0 };
  },
});

/** Without the structure as JSON, whose escapes would make cut results longer again. */
function textOf({ groups, failures, counts }: RunResult): string {
  const { asked, succeeded, failed } = counts;
  return [
    `${asked} asked, ${succeeded} succeeded, ${failed} failed.`,
    ...groups.map(groupText),
    ...failures.map(failureText),
  ].join('\n');
}

function failureText({ server_id, command_id, status, error }: RunResult['failures'][number]) {
  const { name, code, message } = error;
  const id = command_id === null ? '' : ` [command_id ${command_id}]`;
  return `${server_id}: ${status}: ${name} (${code}): ${message}${id}`;
}

function groupText({
  server_ids,
  status,
  result,
  result_text,
  rest,
}: RunResult['groups'][number]): string {
  const head = `${server_ids.join(', ')} (${server_ids.length}): ${status}`;
  if (result_text === undefined) return `${head}\n${dataText(result)}`;
  return `${head}\n${result_text}\n[Cut. The rest: get_command ${JSON.stringify(rest)}]`;
}
