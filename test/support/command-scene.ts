import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { commandRows } from './commands.ts';
import { FaultProxy } from './fault-proxy.ts';
import { eventually } from './hub.ts';
import { type InstalledAgent, installAgent } from './installed-agent.ts';
import type { ClientKind, TestClient } from './mcp-client.ts';
import type { Program, Started } from './processes.ts';
import { connect, startServer, type TomoServer } from './tomo.ts';

const SERVER_ID = 'web-1';

export interface Scene {
  readonly started: Started;
  readonly server: TomoServer;
  readonly client: TestClient;
  readonly proxy: FaultProxy;
  readonly installed: InstalledAgent;
  readonly agent: Program;
}

/** A server, an agent and a proxy between them. */
export async function commandScene(started: Started, kind: ClientKind = 'v2-auto'): Promise<Scene> {
  const server = await startServer(started);
  const client = await connect(started, kind, server.http);
  const proxy = await FaultProxy.start(server.port);
  started.defer(() => proxy[Symbol.asyncDispose]());
  const installed = await installAgent(started, { url: proxy.url }, client, SERVER_ID);
  return { started, server, client, proxy, installed, agent: await installed.start() };
}

export const answerSchema = z.looseObject({
  command_id: z.string(),
  status: z.string(),
  result: z.looseObject({ stdout: z.string() }).optional(),
  result_text: z.string().optional(),
  next_result_offset: z.number().optional(),
  error: z.looseObject({ name: z.string(), message: z.string() }).optional(),
  output: z
    .looseObject({
      next_offset: z.number(),
      parts: z.array(z.object({ stream: z.string(), text: z.string() })),
    })
    .optional(),
});
export type Answer = z.infer<typeof answerSchema>;

export async function ask(client: TestClient, tool: string, args: object): Promise<Answer> {
  return answerSchema.parse((await client.callTool(tool, args)).structuredContent);
}

export function execArgs(command: string, more: object = {}, params: object = {}): object {
  return {
    server_id: SERVER_ID,
    method: 'system.exec',
    params: { command, timeout: 600, ...params },
    ...more,
  };
}

/** The id of the only command there is. */
export function onlyId({ dataDir }: TomoServer): string {
  const rows = commandRows(dataDir, 'system.exec');
  expect(rows).toHaveLength(1);
  return rows[0]?.id ?? '';
}

export interface SlowCommand {
  readonly command: string;
  /** Resolves when it runs. */
  readonly begun: () => Promise<void>;
  /** Lets it end. */
  readonly release: () => void;
  /** How often it was begun. */
  readonly runs: () => number;
}

/** Prints a line at its beginning and one at its end, and leaves a line in a file for each run. */
export function slowCommand(started: Started, seconds = 0): SlowCommand {
  const directory = started.directory();
  const [release, runs] = [join(directory, 'release'), join(directory, 'runs')];
  // Where an agent was killed nobody else ends it.
  const wait = `while [ -e ${directory} ] && [ ! -e ${release} ]; do sleep 0.05; done`;
  return {
    command: `echo run >> ${runs}; echo begun; ${seconds > 0 ? `sleep ${seconds}` : wait}; echo done`,
    begun: () => eventually(() => expect(existsSync(runs)).toBe(true)),
    release: () => writeFileSync(release, ''),
    runs: () => readFileSync(runs, 'utf8').split('\n').length - 1,
  };
}

/** A command with a tree of processes, and their ids once all of them run. */
export function processTree(started: Started): {
  readonly command: string;
  readonly pids: () => Promise<number[]>;
} {
  const file = join(started.directory(), 'pids');
  const sleep = `sleep 300 & echo $! >> ${file}`;
  return {
    command: `(${sleep}; trap '' TERM; wait) & ${sleep}; echo $$ >> ${file}; wait`,
    pids: () =>
      eventually(() => {
        const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
        const pids = text.split('\n').filter(Boolean).map(Number);
        expect(pids).toHaveLength(3);
        return pids;
      }),
  };
}

export async function allGone(pids: readonly number[]): Promise<void> {
  await eventually(() => expect(pids.filter((pid) => isAlive(pid))).toEqual([]));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie is no process any more: nobody may have reaped it here.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** A process's children and theirs; none where there is no /proc. */
export function descendantsOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return [];
  const children = readFileSync(file, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}
