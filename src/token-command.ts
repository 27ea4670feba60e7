import type { Access } from '../protocol/access.ts';
import { TomoError } from '../protocol/errors.ts';
import { type Config, defaultDataDir } from './config.ts';
import { addToken, listTokens, removeToken, type TokenEntry } from './mcp/access-tokens.ts';
import type { Output } from './output.ts';
import { shellQuote } from './provisioning/shell-quote.ts';
import { StartError } from './start-error.ts';
import { actorOf } from './token-name.ts';

const USAGE =
  'tomo token | tomo token add NAME --access read|operate|admin | tomo token ls | tomo token rm NAME';

/** What `tomo token` is to do; without words it prints the token of the data directory. */
export type TokenAction =
  | { readonly kind: 'print' }
  | { readonly kind: 'list' }
  | { readonly kind: 'add'; readonly name: string; readonly access: Access }
  | { readonly kind: 'remove'; readonly name: string };

/** Reads the words after `tomo token`. Throws StartError (exit 2) saying what it takes. */
export function tokenAction(words: readonly string[], access: Access | undefined): TokenAction {
  const [verb, name, ...more] = words;
  if (more.length > 0) throw usage(`"${more[0]}" is one word too many`);
  if (access !== undefined && verb !== 'add') throw usage('--access goes with "add"');
  switch (verb) {
    case undefined:
      return { kind: 'print' };
    case 'ls':
      if (name !== undefined) throw usage('"ls" takes no name');
      return { kind: 'list' };
    case 'add':
      if (name === undefined) throw usage('"add" needs a name');
      if (access === undefined) throw usage('"add" needs --access');
      return { kind: 'add', name, access };
    case 'rm':
      if (name === undefined) throw usage('"rm" needs a name');
      return { kind: 'remove', name };
    default:
      throw usage(`there is no "${verb}"`);
  }
}

/** Adds, lists or removes named tokens; a running server need not be told. */
export async function changeTokens(
  action: Exclude<TokenAction, { kind: 'print' }>,
  { dataDir }: Pick<Config, 'dataDir'>,
  { stdout, stderr }: Output,
): Promise<void> {
  switch (action.kind) {
    case 'add': {
      const { name, access } = action;
      stdout.write(`${await added(dataDir, name, access)}\n`);
      const end = commandLine(dataDir, `rm ${name}`);
      stderr.write(`Keep it now, it is shown this once; "${end}" ends it.\n`);
      return;
    }
    case 'list':
      stdout.write(table(await listTokens(dataDir), stdout.isTTY === true));
      return;
    case 'remove':
      if (!(await removeToken(dataDir, action.name).catch(refused))) {
        throw new StartError(
          `tomo token: there is no token "${action.name}"; "${commandLine(dataDir, 'ls')}" shows the named ones`,
          1,
        );
      }
      stderr.write(whatGoesOn(action.name));
  }
}

/** An agent that is away cannot be told, and a Tomo that was started anew does not know whose it is. */
function whatGoesOn(name: string): string {
  const shown = JSON.stringify({ actor: actorOf(name), status: 'detached' });
  return `Its commands are stopped within seconds. Those go on whose agent is away, or that were begun before Tomo was last started: get_command_history ${shown} shows them, cancel_command stops them.\n`;
}

function added(dataDir: string, name: string, access: Access): Promise<string> {
  return addToken(dataDir, name, access).catch(refused);
}

/** A name that cannot be one was typed wrong; anything else stands in the way. */
function refused(error: unknown): never {
  if (error instanceof TomoError && error.name === 'INVALID_PARAMS') {
    throw new StartError(`tomo token: ${error.message}`, 2, error);
  }
  throw error;
}

/** As it works for whoever named a data directory. */
function commandLine(dataDir: string, words: string): string {
  const where = dataDir === defaultDataDir() ? '' : ` --data-dir ${shellQuote(dataDir)}`;
  return `tomo token ${words}${where}`;
}

/** For a person with columns and a heading, for a program with tabs alone. */
function table(tokens: readonly TokenEntry[], forPerson: boolean): string {
  const rows = tokens.map(({ name, access, createdAt }) => [name, access, createdAt]);
  if (!forPerson) return rows.map((row) => `${row.join('\t')}\n`).join('');
  const all = [['NAME', 'ACCESS', 'CREATED'], ...rows];
  const widths = [0, 1].map((at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const line = (row: string[]): string =>
    row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ');
  return all.map((row) => `${line(row)}\n`).join('');
}

function usage(cause: string): StartError {
  return new StartError(`tomo token: ${cause}; it goes ${USAGE}`, 2);
}
