import type { ParamsOf, ResultOf } from '../../protocol/commands/catalogue.ts';
import type { ExecScope } from '../../protocol/commands/system.ts';
import { TomoError } from '../../protocol/errors.ts';
import { runShell } from '../shell/host-shell.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import { shellQuote } from '../shell/shell-quote.ts';
import { parseUnits, UNIT_PROPERTIES, type Unit } from './parse-units.ts';

type Params = ParamsOf<'system.services'>;
type Answer = ResultOf<'system.services'>;

const TIMEOUT_MS = 20_000;
const OUTPUT_MAX_BYTES = 8 * 1024 * 1024;
const SYSTEMD = 'systemd';
// How sd_booted(3) tells, and what makes systemctl speak the same on every server and in a chroot.
const SCRIPT = `if [ -d /run/systemd/system ]; then
  export LC_ALL=C TZ=UTC SYSTEMD_PAGER= SYSTEMD_IGNORE_CHROOT=1
  echo ${SYSTEMD}
  exec systemctl show --no-pager --property=${UNIT_PROPERTIES.join(',')} -- PATTERN
elif [ -d /run/openrc ]; then echo OpenRC
else cat /proc/1/comm
fi`;

/**
 * The services of the server's systemd, the failed ones first; of any other init only its name.
 * @throws TomoError EXEC_FAILED, NOT_FOUND, COMMAND_CANCELLED
 */
export async function listServices(
  { name, state, limit }: Params,
  place: ShellPlace,
  signal: AbortSignal,
): Promise<Answer> {
  const { init, output } = await ask(unitPattern(name), place, signal);
  const { scope } = place;
  if (init !== SYSTEMD) return unknownInit(init, scope);
  const units = parseUnits(output);
  if (name !== undefined && !units.some(({ load }) => load !== 'not-found')) throw notFound(name);
  const chosen = units.filter((unit) => isShown(unit, name, state)).toSorted(failedFirst);
  return {
    scope,
    init,
    known: true,
    total: chosen.length,
    failed: chosen.filter(isFailed).map((unit) => unit.name),
    services: chosen.slice(0, limit),
  };
}

async function ask(pattern: string, place: ShellPlace, signal: AbortSignal) {
  const { stdout, stderr, exit_code, truncated } = await runShell({
    command: SCRIPT.replace('PATTERN', () => shellQuote(pattern)),
    cwd: '/',
    entrance: place.entrance,
    environment: place.environment,
    timeoutMs: TIMEOUT_MS,
    signal,
    outputMaxBytes: OUTPUT_MAX_BYTES,
  });
  if (exit_code !== 0 || truncated) {
    const why = stderr.trim() || (truncated ? 'it said too much' : `it ended with ${exit_code}`);
    throw new TomoError('EXEC_FAILED', `The server’s systemctl failed: ${why}.`);
  }
  const end = stdout.indexOf('\n');
  return { init: stdout.slice(0, end).trim(), output: stdout.slice(end + 1) };
}

function unitPattern(name = '*'): string {
  return name.endsWith('.service') ? name : `${name}.service`;
}

/** A unit that other units only mention is shown to whoever asks for it by name, and to nobody else. */
function isShown(unit: Unit, name: string | undefined, state: string | undefined): boolean {
  const isThere = unit.load !== 'not-found' || (name !== undefined && unit.state !== 'inactive');
  return isThere && (state === undefined || unit.state === state);
}

function isFailed({ state }: Unit): boolean {
  return state === 'failed';
}

function failedFirst(a: Unit, b: Unit): number {
  return Number(isFailed(b)) - Number(isFailed(a)) || a.name.localeCompare(b.name, 'en');
}

function unknownInit(init: string, scope: ExecScope): Answer {
  const note =
    scope === 'container'
      ? `The agent sees only its own container, whose process 1 is "${init}", and not the services of its server: install_agent with access "admin" lets it.`
      : `This server's init is "${init}", not systemd: its services are not known here. system.processes shows what runs; system.exec can ask "${init}" itself.`;
  return { scope, init, known: false, total: 0, failed: [], services: [], note };
}

function notFound(name: string): TomoError {
  return new TomoError(
    'NOT_FOUND',
    `No service ${name} on this server. system.services without a name lists all; a pattern such as "*${name.replaceAll('*', '')}*" finds parts of names.`,
    { facts: { name } },
  );
}
