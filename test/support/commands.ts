import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'vitest';
import { z } from 'zod';
import { eventually } from './hub.ts';
import type { TestClient } from './mcp-client.ts';
import { TEST_TOKEN, type TomoServer } from './tomo.ts';

const answerSchema = z.object({
  command_id: z.string().optional(),
  status: z.string().optional(),
  error: z.object({ code: z.number(), name: z.string(), message: z.string() }).optional(),
  result: z.unknown().optional(),
  result_text: z.string().optional(),
  truncated: z.boolean().optional(),
  duration_ms: z.number().optional(),
});
/** What send_agent_command answers, or the error that stood in its way. */
export type CommandAnswer = z.infer<typeof answerSchema>;

export async function send(
  client: TestClient,
  serverId: string,
  method = 'agent.ping',
  params: object = {},
  more: object = {},
): Promise<CommandAnswer> {
  const args = { server_id: serverId, method, params, ...more };
  return answerSchema.parse((await client.callTool('send_agent_command', args)).structuredContent);
}

/** A shell command on the agent's machine. */
export function exec(client: TestClient, serverId: string, command: string) {
  return send(client, serverId, 'system.exec', { command });
}

/** Waits until the agent answers a ping. */
export async function answering(client: TestClient, ...serverIds: string[]): Promise<void> {
  await Promise.all(
    serverIds.map((serverId) =>
      eventually(async () =>
        expect(await send(client, serverId)).toMatchObject({ status: 'succeeded' }),
      ),
    ),
  );
}

const rowSchema = z.object({
  id: z.string(),
  server_id: z.string(),
  method: z.string(),
  params: z.string(),
  status: z.string(),
  error_code: z.number().nullable(),
  started_at: z.number(),
  duration_ms: z.number().nullable(),
  result_bytes: z.number().nullable().optional(),
});
export type CommandRow = z.infer<typeof rowSchema>;

/** The rows of the audit, oldest first, read beside the server that writes them. */
export function commandRows(dataDir: string, method?: string): CommandRow[] {
  const database = new Sqlite(join(dataDir, 'tomo.db'), { readonly: true });
  try {
    const rows = database.prepare('SELECT * FROM commands ORDER BY started_at, rowid').all();
    return rowSchema
      .array()
      .parse(rows)
      .filter((row) => method === undefined || row.method === method);
  } finally {
    database.close();
  }
}

/** Waits until no command is under way or detached any more, and answers all rows. */
export function settledRows(dataDir: string, method?: string): Promise<CommandRow[]> {
  return eventually(() => {
    const rows = commandRows(dataDir, method);
    const open = rows.filter(({ status }) => status === 'running' || status === 'detached');
    expect(open).toEqual([]);
    return rows;
  });
}

/** A number of /metrics. */
export async function metric(server: Pick<TomoServer, 'url'>, name: string): Promise<number> {
  const response = await fetch(`${server.url}/metrics`, {
    headers: { Authorization: `Bearer ${TEST_TOKEN}` },
  });
  const line = (await response.text()).split('\n').find((text) => text.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

/** Resolves when so many commands are on their way to agents. */
export async function inFlight(server: Pick<TomoServer, 'url'>, count: number): Promise<void> {
  await eventually(async () => expect(await metric(server, 'tomo_calls_in_flight')).toBe(count));
}

const SURPRISE =
  /uncaught|unhandledRejection|INTERNAL_ERROR|(?:handshake|command|tool) failed|TypeError|RangeError/i;

/** That the server says nothing of a fault that nobody foresaw. */
export function expectNoSurprise(server: Pick<TomoServer, 'program'>): void {
  expect(server.program.child.exitCode).toBeNull();
  expect(server.program.child.signalCode).toBeNull();
  const surprises = server.program
    .log()
    .split('\n')
    .filter((line) => SURPRISE.test(line));
  expect(surprises).toEqual([]);
}
