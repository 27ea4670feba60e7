import { readFile, readlink } from 'node:fs/promises';
import type { OwnContainer } from '../own-container/own-container.ts';
import { bounded, type Check } from './check.ts';

interface PortOptions {
  readonly isContained: boolean;
  readonly own: OwnContainer;
  readonly procRoot?: string;
}

/** Whether nothing listens on each of these TCP ports of the server. */
export async function checkPorts(
  ports: readonly number[],
  options: PortOptions,
  signal: AbortSignal,
): Promise<Check[]> {
  if (ports.length === 0) return [];
  const view = serverView(options, signal);
  return await Promise.all(
    ports.map((port) => bounded(`port ${port}`, signal, async () => describe(port, await view))),
  );
}

function describe(port: number, listening: ReadonlySet<number> | undefined): Omit<Check, 'name'> {
  if (listening === undefined) {
    return {
      ok: false,
      detail: 'unknown: the server’s ports cannot be seen from where the agent runs',
      next_step:
        'Grant the agent --pid=host or --network=host (install_agent with admin access does), or try: a port that is taken is refused by docker.containers.run.',
    };
  }
  if (!listening.has(port)) return { ok: true, detail: 'free' };
  const next_step = `Take another port, or stop what listens there: "ss -ltnp sport = :${port}" shows it.`;
  return { ok: false, detail: 'taken', next_step };
}

/** TCP ports on which something listens; undefined where only the container's own can be seen. */
async function serverView(
  { isContained, own, procRoot = '/proc' }: PortOptions,
  signal: AbortSignal,
): Promise<ReadonlySet<number> | undefined> {
  const isServers = !isContained || (await seesServer(own, procRoot, signal));
  if (!isServers) return undefined;
  const network = `${procRoot}/${isContained ? 1 : 'self'}/net`;
  const tables = await Promise.all([
    // IPv6 may be switched off; without the first table nothing is known.
    readFile(`${network}/tcp`, 'utf8'),
    readFile(`${network}/tcp6`, 'utf8').catch(() => ''),
  ]).catch(() => undefined);
  return tables === undefined ? undefined : new Set(tables.flatMap(listeningPorts));
}

/** Process 1 is the server's with --pid=host; with --network=host its network is the server's too. */
async function seesServer(
  own: OwnContainer,
  procRoot: string,
  signal: AbortSignal,
): Promise<boolean> {
  const facts = await own.facts(signal).catch(() => undefined);
  if (facts?.networkMode === 'host' || facts?.pidMode === 'host') return true;
  const [theirs, ours] = await Promise.all(
    ['1', 'self'].map((pid) => readlink(`${procRoot}/${pid}/ns/mnt`).catch(() => undefined)),
  );
  return theirs !== undefined && theirs !== ours;
}

const LISTEN = '0A';

/** proc(5), /proc/net/tcp: number, local address as HEX:PORT, remote address, state. */
function listeningPorts(table: string): number[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    const port = local.split(':')[1];
    return state === LISTEN && port !== undefined ? [Number.parseInt(port, 16)] : [];
  });
}
