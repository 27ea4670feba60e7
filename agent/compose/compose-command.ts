import { TomoError } from '../../protocol/errors.ts';
import { runShell, type ShellResult } from '../shell/host-shell.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import { shellQuote } from '../shell/shell-quote.ts';

/** Which project a call is about, as compose itself is told. */
export interface ComposeProject {
  readonly project_directory: string;
  readonly file?: string | readonly string[] | undefined;
  readonly project?: string | undefined;
}

export interface ComposeOptions {
  readonly place: ShellPlace;
  readonly project: ComposeProject;
  /** For everything that is run, together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface RunOptions {
  /** Newest bytes kept of stdout and of stderr. */
  readonly outputMaxBytes?: number;
  /** Told of what it puts out, as it comes. */
  readonly onOutput?: (stream: 'stdout' | 'stderr', piece: Buffer) => void;
}

export interface ComposeOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
}

// Version 2 is a plug-in of docker, or a program of the name that version 1 has.
const PROBE =
  'v=$(docker compose version --short 2>/dev/null) && echo "docker compose $v" || { v=$(docker-compose version --short 2>/dev/null) && echo "docker-compose $v"; }';
const PROBE_TIMEOUT_MS = 30_000;
// Compose reads a file whole, and a device has no end.
const FILE_MAX_BYTES = 4 * 1024 * 1024;
const NO_FILE = /^no file (\d+)$/m;
const OUTPUT_MAX_BYTES = 32 * 1024;
const WORDS_MAX_CHARS = 1_500;

/** The server's own compose, for one project, within one limit of time. */
export class Compose {
  readonly version: string;
  readonly #program: string;
  readonly #options: ComposeOptions;
  readonly #startedAtMs = performance.now();

  private constructor(program: string, version: string, options: ComposeOptions) {
    this.version = version;
    this.#program = program;
    this.#options = options;
  }

  /** @throws TomoError EXEC_FAILED if the server has no compose, or no such directory; NOT_FOUND */
  static async find(options: ComposeOptions): Promise<Compose> {
    const limitMs = Math.min(PROBE_TIMEOUT_MS, options.timeoutMs);
    const { stdout } = await shell(options, probe(options.project), limitMs);
    const absent = NO_FILE.exec(stdout)?.[1];
    if (absent !== undefined) throw noFile(options.project, Number(absent));
    const [, program, version] = /^(docker compose|docker-compose) v?(\S+)$/m.exec(stdout) ?? [];
    if (program === undefined || version === undefined) throw missing(options.place);
    return new Compose(program, version, options);
  }

  /** Whether it is of the first generation, which ended with 1.29. */
  get isFirst(): boolean {
    return this.version.startsWith('1.');
  }

  /** Whole milliseconds that are left of the time limit. */
  get leftMs(): number {
    const spentMs = Math.floor(performance.now() - this.#startedAtMs);
    return Math.max(0, this.#options.timeoutMs - spentMs);
  }

  /**
   * Runs one of its commands to a good end.
   * @throws TomoError COMPOSE_FAILED with its words, COMMAND_TIMED_OUT, COMMAND_CANCELLED, EXEC_FAILED
   */
  async run(args: readonly string[], options: RunOptions = {}): Promise<ComposeOutput> {
    const { project } = this.#options.project;
    const words = [
      ...(project === undefined ? [] : [`--project-name=${project}`]),
      ...filesOf(this.#options.project).map((file) => `--file=${file}`),
      ...args,
    ];
    const command = `${this.#program} ${words.map(shellQuote).join(' ')}`;
    const result = await shell(this.#options, command, this.leftMs, options);
    if (result.timed_out) throw timedOut(args);
    if (result.exit_code !== 0) throw failed(args, result);
    return result;
  }
}

/** As paths, because compose would fetch what looks like an address. */
function filesOf({ file = [] }: ComposeProject): string[] {
  return [file].flat().map((name) => (name.startsWith('/') ? name : `./${name}`));
}

function probe(project: ComposeProject): string {
  const checks = filesOf(project)
    .map(shellQuote)
    .map(
      (file, at) =>
        `[ -f ${file} ] && [ "$(wc -c < ${file})" -le ${FILE_MAX_BYTES} ] || { echo "no file ${at}"; exit; }`,
    );
  return [...checks, PROBE].join('\n');
}

async function shell(
  { place, project, signal }: ComposeOptions,
  command: string,
  timeoutMs: number,
  { outputMaxBytes = OUTPUT_MAX_BYTES, onOutput }: RunOptions = {},
): Promise<ShellResult> {
  return await runShell({
    command,
    cwd: project.project_directory,
    entrance: place.entrance,
    environment: place.environment,
    timeoutMs,
    signal,
    outputMaxBytes,
    ...(onOutput === undefined ? {} : { onOutput }),
  });
}

function noFile(project: ComposeProject, at: number): TomoError {
  const { project_directory: directory } = project;
  const file = filesOf(project)[at];
  return new TomoError(
    'NOT_FOUND',
    `No compose file ${file} in ${directory}, or it is larger than ${FILE_MAX_BYTES} bytes. Paths are the server's; without the param file compose looks for its usual names.`,
    { facts: { directory, file } },
  );
}

function missing({ scope }: ShellPlace): TomoError {
  const next =
    scope === 'container'
      ? 'The agent runs commands in its own container: call install_agent with access "admin" and start it anew, so that it can use its server’s compose.'
      : 'Install it there: "apt-get install docker-compose-plugin" from Docker’s packages, or "docker-compose-v2" or "docker-compose" from the distribution’s.';
  return new TomoError(
    'EXEC_FAILED',
    `Neither "docker compose" nor "docker-compose" works there. ${next}`,
    { facts: { scope } },
  );
}

function failed(args: readonly string[], { exit_code, stdout, stderr }: ShellResult): TomoError {
  const words = (stderr.trim() || stdout.trim()).slice(-WORDS_MAX_CHARS);
  return new TomoError(
    'COMPOSE_FAILED',
    `compose ${args[0]} ended with ${exit_code}${words === '' ? '.' : `: ${words}`}`,
    { facts: { exit_code } },
  );
}

function timedOut([verb]: readonly string[]): TomoError {
  return new TomoError(
    'COMMAND_TIMED_OUT',
    `compose ${verb} was stopped at its time limit and may have done a part; docker.compose.ps shows what is there. A larger timeout gives it longer.`,
  );
}
