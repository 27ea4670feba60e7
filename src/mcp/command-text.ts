import type { OperationResult } from '../fleet/operations.ts';
import { dataText } from './tool-result.ts';

type Command = OperationResult<'send_agent_command'>;
type Output = NonNullable<Command['output']>;

/** A command for a model to read: how it stands, its output or result, and how to go on. */
export function commandText(command: Command): string {
  const { status, note } = command;
  const isOver = status !== 'running' && status !== 'detached';
  const lines = [
    ...(isOver ? [] : [underWay(command)]),
    ...(command.error === undefined ? [] : [errorText(command.error)]),
    ...(command.output === undefined ? [] : outputText(command, command.output, isOver)),
    ...resultLines(command),
    ...(note === undefined ? [] : [note]),
  ];
  return lines.length === 0 ? `Command ${command.command_id}: ${status}.` : lines.join('\n');
}

function underWay({ command_id, status, duration_ms, progress }: Command): string {
  const seconds = Math.round(duration_ms / 1_000);
  const fraction = progress?.fraction;
  const percent = fraction === undefined ? '' : ` (${Math.round(fraction * 100)} %)`;
  const step = progress === undefined ? '' : ` Last: ${progress.message}${percent}`;
  return `Command ${command_id} is ${status} (${seconds} s). get_command with wait_seconds waits for its end, cancel_command stops it.${step}`;
}

function errorText({ name, code, message }: NonNullable<Command['error']>): string {
  return `${name} (${code}): ${message}`;
}

function outputText({ command_id }: Command, output: Output, isOver: boolean): string[] {
  const { offset, next_offset, parts, dropped_bytes, has_more } = output;
  const dropped = dropped_bytes > 0 ? `, ${dropped_bytes} bytes dropped` : '';
  const isAll = isOver && !has_more;
  const next = `get_command {"command_id": "${command_id}", "offset": ${next_offset}}`;
  return [
    `[Output ${offset} to ${next_offset}${dropped}]`,
    ...parts.map(({ stream, text }) => (stream === 'stderr' ? `[stderr]\n${text}` : text)),
    isAll ? '[end of output]' : `[${has_more ? 'there is more' : 'for what follows'}: ${next}]`,
  ];
}

function resultLines({ command_id, ...command }: Command): string[] {
  const { result, result_text, next_result_offset: next, result_chars } = command;
  if (result_text === undefined) return result === undefined ? [] : [dataText(result)];
  if (next === undefined) return [result_text];
  return [
    result_text,
    `[Cut at ${next} of ${result_chars} characters. The rest: get_command {"command_id": "${command_id}", "result_offset": ${next}}; or ask for less: a smaller tail, one object instead of all, or filter with system.exec.]`,
  ];
}
