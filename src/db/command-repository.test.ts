import { describe, expect, it } from 'vitest';
import { type DatabaseHandle, temporaryDatabase } from '../../test/support/temporary-database.ts';

const command = (id: string, startedAt: number, serverId = 'web-1') => ({
  id,
  serverId,
  agentId: 'a1',
  actor: 'http',
  origin: '192.0.2.1',
  instanceId: 'p1',
  method: 'system.exec',
  params: { command: 'true', env: '***' },
  startedAt,
});

const GONE = { code: 1_002, message: 'gone' };

it('records a command as running, then how it ended', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  const running = {
    ...command('c1', 1_000),
    status: 'running',
    errorCode: null,
    errorMessage: null,
    durationMs: null,
    resultBytes: null,
    resultKept: null,
  };
  expect(await db.commands.recent({ limit: 10 })).toEqual([running]);
  await db.commands.finish('c1', { status: 'succeeded', durationMs: 40, resultBytes: 7 });
  const ended = { status: 'succeeded', durationMs: 40, resultBytes: 7, resultKept: false };
  expect(await db.commands.recent({ limit: 10 })).toEqual([{ ...running, ...ended }]);
});

it('records the error of a command that failed', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  const error = { errorCode: 1002, errorMessage: 'connection lost' };
  await db.commands.finish('c1', { status: 'failed', durationMs: 40, ...error });
  expect(await db.commands.recent({ limit: 10 })).toMatchObject([{ status: 'failed', ...error }]);
});

it('ends a command once', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  await db.commands.finish('c1', { status: 'succeeded', durationMs: 40 });
  await db.commands.finish('c1', { status: 'failed', durationMs: 50 });
  await db.commands.finishDetached('c1', { status: 'failed', durationMs: 50 });
  await db.commands.detach(['c1'], GONE, 2_000);
  await db.commands.giveUp(['c1'], 'lost', GONE);
  expect(await db.commands.recent({ limit: 1 })).toMatchObject([
    { status: 'succeeded', durationMs: 40, errorCode: null },
  ]);
});

it('records several beginnings, or none of them', async () => {
  const { db } = temporaryDatabase();
  const twice = [command('c1', 1_000), command('c2', 2_000), command('c1', 3_000)];
  await expect(db.commands.beginAll(twice)).rejects.toMatchObject({ code: 'other' });
  expect(await db.commands.recent({ limit: 10 })).toEqual([]);
  await db.commands.beginAll(twice.slice(0, 2));
  expect(await db.commands.recent({ limit: 10 })).toHaveLength(2);
});

describe('a detached command', () => {
  it('shows since when its agent is away, and ends with the answer', async () => {
    const { db } = temporaryDatabase();
    await db.commands.begin(command('c1', 1_000));
    await db.commands.detach(['c1', 'unknown'], GONE, 3_500);
    // Whoever waited for it does not end it.
    await db.commands.finish('c1', { status: 'failed', durationMs: 9 });
    expect(await db.commands.recent({ limit: 1 })).toMatchObject([
      { status: 'detached', durationMs: 2_500, errorCode: 1_002, errorMessage: 'gone' },
    ]);
    expect(await db.commands.findDetached('c1', 'a1')).toEqual({
      method: 'system.exec',
      startedAt: 1_000,
    });
    await db.commands.finishDetached('c1', { status: 'succeeded', durationMs: 6_000 });
    expect(await db.commands.recent({ limit: 1 })).toMatchObject([
      { status: 'succeeded', durationMs: 6_000, errorCode: null, errorMessage: null },
    ]);
    expect(await db.commands.findDetached('c1', 'a1')).toBeUndefined();
  });

  it('belongs to its agent', async () => {
    const { db } = temporaryDatabase();
    await db.commands.begin(command('c1', 1_000));
    await db.commands.begin({ ...command('c2', 1_000), agentId: 'a2' });
    await db.commands.detach(['c1'], GONE, 2_000);
    expect(await db.commands.findDetached('c1', 'a2')).toBeUndefined();
    expect(await db.commands.detachedOf('a1')).toEqual([{ id: 'c1', instanceId: 'p1' }]);
    expect(await db.commands.detachedOf('a2')).toEqual([]);
    expect(await db.commands.agentsWithDetached()).toEqual(['a1']);
  });

  it('is lost when its agent was away for too long', async () => {
    const { db } = temporaryDatabase();
    for (const [id, at] of [
      ['old', 2_000],
      ['new', 6_000],
    ] as const) {
      await db.commands.begin(command(id, 1_000));
      await db.commands.detach([id], GONE, at);
    }
    expect(await db.commands.loseDetachedBefore(5_000, { code: 1_013, message: 'late' })).toBe(1);
    expect(await db.commands.recent({ limit: 10 })).toMatchObject([
      { id: 'old', status: 'lost', durationMs: 1_000, errorCode: 1_013 },
      { id: 'new', status: 'detached' },
    ]);
  });
});

it('leaves nothing running of an earlier process: detached if the agent may answer, else lost', async () => {
  const handle = temporaryDatabase();
  const { db } = handle;
  addAgent(handle, 'keeps answers', { protocol: 1 });
  addAgent(handle, 'keeps none', { protocol: null });
  addAgent(handle, 'revoked', { protocol: 1, status: 'revoked' });
  for (const agentId of ['keeps answers', 'keeps none', 'revoked', 'forgotten', '']) {
    await db.commands.begin({ ...command(`of ${agentId}`, 1_000), agentId });
  }
  await db.commands.begin({ ...command('begun by a clock ahead', 9_000), agentId: 'keeps none' });
  await db.commands.begin(command('ended', 1_000));
  await db.commands.finish('ended', { status: 'failed', durationMs: 1 });
  expect(await db.commands.endRun(5_000)).toBe(6);
  const rows = await db.commands.recent({ limit: 10 });
  expect(Object.fromEntries(rows.map(({ id, status }) => [id, status]))).toEqual({
    'of keeps answers': 'detached',
    'of keeps none': 'lost',
    'of revoked': 'lost',
    'of forgotten': 'lost',
    'of ': 'lost',
    'begun by a clock ahead': 'lost',
    ended: 'failed',
  });
  expect(rows.find(({ id }) => id === 'of keeps none')).toHaveProperty('durationMs', 4_000);
  expect(rows.find(({ id }) => id === 'begun by a clock ahead')).toHaveProperty('durationMs', 0);
});

it('lists the newest commands, of one server or of all', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  await db.commands.begin(command('c2', 3_000));
  await db.commands.begin(command('c3', 2_000, 'web-2'));
  const ids = async (filter: { serverIds?: string[]; limit: number }) =>
    (await db.commands.recent(filter)).map((row) => row.id);
  expect(await ids({ limit: 10 })).toEqual(['c2', 'c3', 'c1']);
  expect(await ids({ limit: 1 })).toEqual(['c2']);
  expect(await ids({ serverIds: ['web-1'], limit: 10 })).toEqual(['c2', 'c1']);
});

it('lists what fits all of a filter', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  await db.commands.begin({ ...command('c2', 2_000), actor: 'stdio' });
  await db.commands.begin({ ...command('c3', 3_000), method: 'agent.ping' });
  await db.commands.finish('c3', { status: 'succeeded', durationMs: 1 });
  const ids = async (filter: object) =>
    (await db.commands.recent({ ...filter, limit: 10 })).map((row) => row.id);
  expect(await ids({ actor: 'stdio' })).toEqual(['c2']);
  expect(await ids({ method: 'agent.ping' })).toEqual(['c3']);
  expect(await ids({ status: 'running' })).toEqual(['c2', 'c1']);
  expect(await ids({ since: 2_000 })).toEqual(['c3', 'c2']);
  expect(await ids({ until: 2_000 })).toEqual(['c1']);
  expect(await ids({ since: 2_000, status: 'running', actor: 'http' })).toEqual([]);
});

it('pages through commands of the same millisecond without leaving one out', async () => {
  const { db } = temporaryDatabase();
  const all = ['a', 'b', 'c', 'd', 'e'];
  for (const id of all) await db.commands.begin(command(id, id === 'e' ? 2_000 : 1_000));
  const seen: string[] = [];
  for (;;) {
    const after = seen.length === 0 ? undefined : await row(seen.at(-1));
    const page = await db.commands.recent({ after, limit: 2 });
    if (page.length === 0) break;
    seen.push(...page.map(({ id }) => id));
  }
  expect(seen).toEqual(['e', 'd', 'c', 'b', 'a']);

  async function row(id: string | undefined) {
    return (await db.commands.recent({ limit: 10 })).find((candidate) => candidate.id === id);
  }
});

it('forgets commands that were started before a time', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  await db.commands.begin(command('c2', 2_000));
  expect(await db.commands.deleteBefore(2_000)).toBe(1);
  expect(await db.commands.recent({ limit: 10 })).toMatchObject([{ id: 'c2' }]);
});

it('refuses a second command of the same id', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  await expect(db.commands.begin(command('c1', 2_000))).rejects.toMatchObject({ code: 'other' });
});

function addAgent(
  { client }: DatabaseHandle,
  id: string,
  { protocol, status = 'connected' }: { protocol: number | null; status?: string },
): void {
  client.prepare('INSERT INTO servers (id, created_at) VALUES (?, 0)').run(id);
  client
    .prepare(
      `INSERT INTO agents (id, server_id, access, protocol, status, created_at, updated_at)
       VALUES (?, ?, 'admin', ?, ?, 0, 0)`,
    )
    .run(id, id, protocol, status);
}
