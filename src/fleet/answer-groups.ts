import { createHash } from 'node:crypto';
import { flat } from '../agent-hub/kept-output.ts';
import { resultText } from '../agent-hub/result-text.ts';
import { fairShare } from '../db/fair-share.ts';
import type { OperationResult } from './operations.ts';
import { cutText, RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

type Group = OperationResult<'run_on_agents'>['groups'][number];

/** Ids of commands in all groups together: of fleets as most are, every one. */
const IDS_MAX_COUNT = 300;

/** A command that was answered. */
interface Answered {
  readonly serverId: string;
  readonly commandId: string;
  readonly status: Group['status'];
}

interface Held {
  readonly status: Group['status'];
  /** The text is the first one's. */
  readonly commands: [Answered, ...Answered[]];
  /** The result as JSON, or its beginning. */
  text: string;
  isWhole: boolean;
}

/**
 * The answers of many servers, equal ones once. Of long results no more is held than can be shown:
 * what one may take only becomes less with every further one.
 */
export class AnswerGroups {
  readonly #groups = new Map<string, Held>();
  #chars = 0;

  /** Servers whose command succeeded. */
  get succeeded(): number {
    const groups = [...this.#groups.values()].filter(({ status }) => status === 'succeeded');
    return groups.reduce((sum, { commands }) => sum + commands.length, 0);
  }

  add(command: Answered, result: unknown): void {
    const { status } = command;
    const key = `${status} ${digest(result)}`;
    const group = this.#groups.get(key);
    if (group !== undefined) {
      group.commands.push(command);
      return;
    }
    const held: Held = { status, commands: [command], text: resultText(result), isWhole: true };
    cut(held, RESULT_TEXT_MAX_CHARS);
    this.#groups.set(key, held);
    this.#chars += held.text.length;
    // Not at every one, since each time costs a look at all of them.
    if (this.#chars > 4 * RESULT_TEXT_MAX_CHARS) this.#cutTo(RESULT_TEXT_MAX_CHARS);
  }

  /** The biggest group first; all results together have at most so many characters as text. */
  within(maxChars: number): Group[] {
    this.#cutTo(maxChars);
    const idsEach = Math.max(1, Math.floor(IDS_MAX_COUNT / this.#groups.size));
    const groups = [...this.#groups.values()].map((held) => shown(held, idsEach));
    groups.sort(
      (a, b) => b.server_ids.length - a.server_ids.length || compare(firstOf(a), firstOf(b)),
    );
    return groups.map((group, place) =>
      place < IDS_MAX_COUNT ? group : { ...group, command_ids: [] },
    );
  }

  #cutTo(maxChars: number): void {
    const groups = [...this.#groups.values()];
    // The length to which the longest are cut.
    const share = fairShare(
      groups.map(({ text }) => text.length),
      maxChars,
    );
    for (const group of groups) cut(group, share);
    this.#chars = groups.reduce((sum, { text }) => sum + text.length, 0);
  }
}

function cut(group: Held, maxChars: number): void {
  const text = cutText(group.text, maxChars);
  if (text === undefined) return;
  group.text = flat(text);
  group.isWhole = false;
}

function shown({ status, commands, text, isWhole }: Held, idsCount: number): Group {
  const inOrder = commands.toSorted((a, b) => compare(a.serverId, b.serverId));
  const head = {
    server_ids: inOrder.map(({ serverId }) => serverId),
    command_ids: inOrder.slice(0, idsCount).map(({ commandId }) => commandId),
    status,
  };
  if (isWhole) return { ...head, result: JSON.parse(text) };
  // Equal results differ in the order of their keys, and then in what lies at a place.
  const rest = { command_id: commands[0].commandId, result_offset: text.length };
  return { ...head, result_text: text, truncated: true, rest };
}

/** The same for results that differ in the order of their keys alone. */
function digest(result: unknown): string {
  const sorted = JSON.stringify(result ?? null, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => compare(a, b)))
      : value,
  );
  return createHash('sha256').update(sorted).digest('hex');
}

function firstOf({ server_ids }: Group): string {
  return server_ids[0] ?? '';
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
