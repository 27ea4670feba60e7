import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { z } from 'zod';
import { ACCESS_LEVELS } from '../protocol/access.ts';
import { isNetwork } from './network.ts';
import { StartError } from './start-error.ts';

const COMMANDS = [
  'stdio',
  'serve',
  'quickstart',
  'agent',
  'token',
  'backup',
  'restore',
  'help',
  'version',
] as const;
export type Command = (typeof COMMANDS)[number];

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const TOKEN_MIN_CHARS = 32;

const PORT_RANGE = 'a port from 0 to 65535';
const port = z.coerce.number(PORT_RANGE).int(PORT_RANGE).min(0, PORT_RANGE).max(65_535, PORT_RANGE);
const PROXIES_RANGE =
  'addresses and networks with commas between them, such as 127.0.0.1,10.0.0.0/8,::1';
const flag = z
  .union([z.boolean(), z.stringbool()], 'true or false (also 1, 0, yes, no, on, off)')
  .default(false);
const baseUrl = z
  .url({ protocol: /^https?$/, error: 'an http or https URL' })
  .refine((url) => !/[?#@]/.test(url), 'an http or https URL without "?", "#" and "@"');
/** Absolute: a process with another working directory may take over. */
const pemFile = z
  .string()
  .min(1, 'a PEM file')
  .transform((file) => resolve(file));
const proxies = z
  .string()
  .transform((list) => list.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.string().refine(isNetwork, PROXIES_RANGE)))
  .default([]);

const TLS_FILES_TOGETHER = '--tls-cert and --tls-key go together: give both';

const configSchema = z
  .object({
    host: z.string().min(1).default('127.0.0.1'),
    port: port.default(8000),
    dataDir: z
      .string()
      .min(1, 'a directory')
      .transform((dir) => resolve(dir)),
    publicUrl: baseUrl.optional(),
    tlsCert: pemFile.optional(),
    tlsKey: pemFile.optional(),
    tlsSelfSigned: flag,
    trustedProxies: proxies,
    insecureHttp: flag,
    readOnly: flag,
    localAgent: flag,
    logLevel: z.enum(LOG_LEVELS).default('info'),
    /** Of a token that is added. */
    access: z.enum(ACCESS_LEVELS, 'read, operate or admin').optional(),
    /** Whether a restored database takes the place of one that is there. */
    replace: flag,
    /** From the environment only, where it is not seen in the list of processes. */
    token: z
      .string()
      .regex(/^\S+$/, 'a token without spaces')
      .min(TOKEN_MIN_CHARS, `at least ${TOKEN_MIN_CHARS} characters`)
      .optional(),
  })
  .refine((config) => config.tlsCert === undefined || config.tlsKey !== undefined, {
    path: ['tlsCert'],
    message: TLS_FILES_TOGETHER,
  })
  .refine((config) => config.tlsKey === undefined || config.tlsCert !== undefined, {
    path: ['tlsKey'],
    message: TLS_FILES_TOGETHER,
  })
  .refine((config) => config.tlsCert === undefined || !config.tlsSelfSigned, {
    path: ['tlsSelfSigned'],
    message: 'goes without --tls-cert and --tls-key: a certificate of yours, or one of Tomo’s own',
  })
  .refine((config) => hasTls(config) || config.insecureHttp || isLoopback(config.host), {
    path: ['host'],
    message:
      'an address that other machines reach needs TLS: give --tls-cert and --tls-key, or --tls-self-signed, or --insecure-http if a proxy does that',
  });

/** Everything that was set, by flag or environment; validated and frozen. */
export type Config = Readonly<z.output<typeof configSchema>>;

const SERVER_FLAGS = {
  host: { type: 'string' },
  port: { type: 'string' },
  'data-dir': { type: 'string' },
  'public-url': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-self-signed': { type: 'boolean' },
  'trusted-proxies': { type: 'string', multiple: true },
  'insecure-http': { type: 'boolean' },
  'read-only': { type: 'boolean' },
  'local-agent': { type: 'boolean' },
  'log-level': { type: 'string' },
} satisfies ParseArgsOptionsConfig;

const FLAGS: Readonly<Record<Command, ParseArgsOptionsConfig>> = {
  stdio: SERVER_FLAGS,
  serve: SERVER_FLAGS,
  quickstart: SERVER_FLAGS,
  agent: {},
  token: { 'data-dir': { type: 'string' }, access: { type: 'string' } },
  backup: { 'data-dir': { type: 'string' } },
  restore: { 'data-dir': { type: 'string' }, replace: { type: 'boolean' } },
  help: {},
  version: {},
};

/** Commands that take words besides flags. */
const TAKE_WORDS: readonly Command[] = ['token', 'backup', 'restore'];
/** Flags that are about one call only, so that nobody sets them for all. */
const WITHOUT_TWIN = ['access', 'replace'];

export interface Invocation {
  readonly command: Command;
  /** What stands after the command besides flags. */
  readonly words: readonly string[];
  readonly config: Config;
}

/** What the user asked for. Throws StartError (exit 2) naming the flag and what it takes. */
export function readInvocation(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Invocation {
  const command = commandOf(args[0]);
  const rest = args[0] === command ? args.slice(1) : args;
  if (rest.includes('--help') || rest.includes('-h')) return readInvocation(['help'], environment);
  if (rest.includes('--version')) return readInvocation(['version'], environment);
  const { values: flags, positionals: words } = parseFlags(command, rest);
  const settings: Record<string, unknown> = { dataDir: defaultDataDir(environment) };
  for (const name of Object.keys(FLAGS[command])) {
    // An empty variable is one that is not set; an empty flag was meant.
    const twin = WITHOUT_TWIN.includes(name) ? undefined : environment[environmentName(name)];
    const flag = flags[name];
    const value = (Array.isArray(flag) ? flag.join(',') : flag) ?? (twin || undefined);
    if (value !== undefined) settings[camelCase(name)] = value;
  }
  const token = environment['TOMO_TOKEN'];
  if (token !== undefined && token !== '') settings['token'] = token;
  const parsed = configSchema.safeParse(settings);
  if (!parsed.success) throw invalidSetting(parsed.error, flags);
  return { command, words, config: Object.freeze(parsed.data) };
}

function commandOf(word: string | undefined): Command {
  if (word === undefined || word.startsWith('-')) return 'stdio';
  const command = COMMANDS.find((name) => name === word);
  if (command !== undefined) return command;
  throw new StartError(`tomo: no command "${word}"; there are: ${COMMANDS.slice(1).join(', ')}`, 2);
}

function parseFlags(
  command: Command,
  args: readonly string[],
): { values: Record<string, unknown>; positionals: string[] } {
  try {
    return parseArgs({
      args: [...args],
      options: FLAGS[command],
      strict: true,
      allowPositionals: TAKE_WORDS.includes(command),
    });
  } catch (error) {
    const allowed = Object.keys(FLAGS[command]).map((name) => `--${name}`);
    const cause = error instanceof Error ? error.message.split('. ')[0] : String(error);
    const hint = allowed.length > 0 ? `it takes ${allowed.join(' ')}` : 'it takes no flags';
    throw new StartError(`tomo ${command}: ${cause}; ${hint}`, 2, error);
  }
}

function invalidSetting(error: z.ZodError, flags: Record<string, unknown>): StartError {
  const issue = error.issues[0];
  const key = String(issue?.path[0] ?? '');
  const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const source = flags[name] === undefined ? environmentName(name) : `--${name}`;
  return new StartError(`tomo: ${source}: ${issue?.message ?? error.message}`, 2, error);
}

function environmentName(flagName: string): string {
  return `TOMO_${flagName.toUpperCase().replaceAll('-', '_')}`;
}

function camelCase(flagName: string): string {
  return flagName.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function hasTls(config: { tlsCert?: string | undefined; tlsSelfSigned: boolean }): boolean {
  return config.tlsCert !== undefined || config.tlsSelfSigned;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** The environment of a child process: this one's without Tomo's own secret. */
export function childEnvironment(
  extra: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  const { TOMO_TOKEN: _secret, ...inherited } = process.env;
  return { ...inherited, ...extra };
}

/** Where the platform keeps programs’ data. */
export function defaultDataDir(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const home = homedir();
  if (process.platform === 'win32') {
    return join(environment['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'tomo');
  }
  if (process.platform === 'darwin') return join(home, 'Library', 'Application Support', 'tomo');
  return join(environment['XDG_DATA_HOME'] || join(home, '.local', 'share'), 'tomo');
}
