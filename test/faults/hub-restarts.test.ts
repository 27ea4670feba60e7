import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { REDIAL_MAX_MS } from '../../protocol/limits.ts';
import {
  type CommandRow,
  expectNoSurprise,
  metric,
  send,
  settledRows,
} from '../support/commands.ts';
import { installAgent } from '../support/installed-agent.ts';
import type { TestClient } from '../support/mcp-client.ts';
import { Started } from '../support/processes.ts';
import { report, seededRandom, sized, testSeed } from '../support/test-size.ts';
import { connect, startServer, type TomoServer } from '../support/tomo.ts';

const AGENTS = sized({ short: 8, full: 50 });
const RESTARTS = sized({ short: 5, full: 200 });
const AGENTS_PER_PROCESS = 10;
const COMMANDS_PER_AGENT = 2;
const EARLY_EVERY = 3;
const FLEET = fileURLToPath(new URL('../support/agent-fleet.ts', import.meta.url));

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

/** A command as its caller knows it: `answered` is the status it was told, if any. */
interface Sent {
  readonly marker: string;
  answered: string | undefined;
}

it(`${RESTARTS} hubs killed under load, ${AGENTS} agents: every command sent is accounted for`, {
  timeout: 60_000 + RESTARTS * 20_000,
}, async () => {
  const random = seededRandom(testSeed());
  let server = await startServer(started);
  const names = Array.from({ length: AGENTS }, (_, index) => `web-${index}`);
  await startFleet(server, names);
  const ran = join(started.directory(), 'ran');
  const sent: Sent[] = [];
  for (let round = 0; round < RESTARTS; round += 1) {
    const client = await connect(started, 'v2-auto', server.http);
    await connected(server, Math.ceil(AGENTS / 2));
    const load = putUnderLoad(client, names, ran, sent, round);
    // At another point of the load each time. A hub that always died at once would only teach its
    // agents to stay away for longer and longer.
    if (round % EARLY_EVERY !== 0) await load.someLong();
    await load.answers(Math.floor(random() * load.promises.length));
    await server.program.stop('SIGKILL');
    await Promise.all(load.promises);
    const { dataDir, port } = server;
    server = await startServer(started, { dataDir, port });
  }
  await connected(server, AGENTS);
  const rows = await settledRows(server.dataDir, 'system.exec');
  accountFor(sent, rows, readRan(ran));
  const client = await connect(started, 'v2-auto', server.http);
  const pings = await Promise.all(names.map((name) => send(client, name)));
  expect(pings.filter(({ status }) => status !== 'succeeded')).toEqual([]);
  expectNoSurprise(server);
});

/** Installs the agents and starts them, several to a process. */
async function startFleet(server: TomoServer, names: readonly string[]): Promise<void> {
  const client = await connect(started, 'v2-auto', server.http);
  const fleet: Record<string, Readonly<Record<string, string>>> = {};
  for (const name of names) {
    fleet[name] = (await installAgent(started, server, client, name)).environment;
  }
  const entries = Object.entries(fleet);
  for (let first = 0; first < entries.length; first += AGENTS_PER_PROCESS) {
    const file = join(started.directory(), 'fleet.json');
    const some = Object.fromEntries(entries.slice(first, first + AGENTS_PER_PROCESS));
    writeFileSync(file, JSON.stringify(some));
    started.script(FLEET, [file]);
  }
  await connected(server, names.length);
}

/** An agent that was thrown out again and again at once waits up to a minute. */
async function connected(server: TomoServer, atLeast: number): Promise<void> {
  const areThere = async (): Promise<boolean> =>
    (await metric(server, 'tomo_agents_connected')) >= atLeast;
  await vi.waitUntil(areThere, { timeout: REDIAL_MAX_MS * 2, interval: 50 });
}

/** Commands to every agent, each of which leaves its marker in a file when it runs. */
function putUnderLoad(
  client: TestClient,
  names: readonly string[],
  ran: string,
  sent: Sent[],
  round: number,
) {
  let count = 0;
  const waiting = new Set<() => void>();
  const { promise: longDone, resolve: oneLongDone } = Promise.withResolvers<void>();
  const call = async (serverId: string, index: number): Promise<void> => {
    const command: Sent = { marker: `m-${round}-${serverId}-${index}`, answered: undefined };
    sent.push(command);
    // Some are quick, some are under way when the hub dies.
    const isLong = index % 2 !== 0;
    const line = `echo ${command.marker} >> ${ran}${isLong ? '; sleep 1.2' : ''}`;
    try {
      const answer = await send(client, serverId, 'system.exec', { command: line });
      command.answered = answer.status ?? answer.error?.name;
      if (isLong && answer.status === 'succeeded') oneLongDone();
    } catch {
      // The hub died before it answered: its rows tell.
    }
    count += 1;
    for (const look of waiting) look();
  };
  const promises = names.flatMap((serverId) =>
    Array.from({ length: COMMANDS_PER_AGENT }, (_, index) => call(serverId, index)),
  );
  const answers = (enough: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => (count >= enough ? resolve() : undefined);
      waiting.add(look);
      look();
    });
  // None of them may reach its agent.
  const someLong = () => Promise.race([longDone, Promise.all(promises)]);
  return { promises, answers, someLong };
}

const paramsSchema = z.object({ command: z.string() });

function markerOf(row: CommandRow): string {
  const { command } = paramsSchema.parse(JSON.parse(row.params));
  return /m-\S+/.exec(command)?.[0] ?? '';
}

function readRan(file: string): Map<string, number> {
  const times = new Map<string, number>();
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  for (const line of lines) times.set(line, (times.get(line) ?? 0) + 1);
  return times;
}

function accountFor(sent: Sent[], rows: CommandRow[], ran: Map<string, number>): void {
  const byMarker = new Map(rows.map((row) => [markerOf(row), row]));
  // No row twice, and none that nobody asked for.
  expect(byMarker.size).toBe(rows.length);
  const known = new Set(sent.map(({ marker }) => marker));
  expect([...byMarker.keys()].filter((marker) => !known.has(marker))).toEqual([]);
  const wrong = sent
    .map((command) => ({
      ...command,
      row: byMarker.get(command.marker)?.status,
      runs: ran.get(command.marker) ?? 0,
    }))
    .filter((command) => !isTruthful(command));
  expect(wrong).toEqual([]);
  const count = (status: string): number => rows.filter((row) => row.status === status).length;
  const statuses = [...new Set(rows.map(({ status }) => status))];
  const told = sent.filter(({ answered }) => answered !== undefined).length;
  report(
    `${sent.length} commands sent over ${RESTARTS} restarts: ${rows.length} rows ` +
      `(${statuses.map((status) => `${count(status)} ${status}`).join(', ')}), ` +
      `${sent.length - rows.length} never reached the hub, ${told} callers told, ${ran.size} ran once`,
  );
}

/** What a caller was told, what the row says and what happened on the server are one story. */
function isTruthful({ answered, row, runs }: Sent & { row: string | undefined; runs: number }) {
  if (runs > 1) return false;
  if (row === undefined) return runs === 0 && answered === undefined;
  if (answered !== undefined && answered !== row && answered !== 'detached') return false;
  return runs === 1 ? row === 'succeeded' : row === 'lost' || row === 'failed';
}
