import { expect, it } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';

const command = (id: string, startedAt: number, serverId = 'web-1') => ({
  id,
  serverId,
  agentId: 'a1',
  actor: 'mcp:claude',
  method: 'system.exec',
  params: { command: 'true', env: '***' },
  startedAt,
});

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
  };
  expect(await db.commands.recent({ limit: 10 })).toEqual([running]);
  await db.commands.finish('c1', { status: 'succeeded', durationMs: 40 });
  const ended = { ...running, status: 'succeeded', durationMs: 40 };
  expect(await db.commands.recent({ limit: 10 })).toEqual([ended]);
});

it('records the error of a command that failed', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  const error = { errorCode: 1002, errorMessage: 'connection lost' };
  await db.commands.finish('c1', { status: 'failed', durationMs: 40, ...error });
  expect(await db.commands.recent({ limit: 10 })).toMatchObject([{ status: 'failed', ...error }]);
});

it('loses what an earlier process left running, and only that', async () => {
  const { db } = temporaryDatabase();
  for (const [id, startedAt] of [
    ['c1', 1_000],
    ['c2', 2_000],
    ['c3', 9_000],
  ] as const) {
    await db.commands.begin(command(id, startedAt));
  }
  await db.commands.finish('c2', { status: 'detached', durationMs: 40 });
  expect(await db.commands.loseRunning(5_000)).toBe(2);
  expect(await db.commands.recent({ limit: 10 })).toMatchObject([
    { id: 'c3', status: 'lost', durationMs: 0 },
    { id: 'c2', status: 'detached' },
    { id: 'c1', status: 'lost', durationMs: 4_000 },
  ]);
});

it('records the answer of a lost command that comes after all', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  await db.commands.loseRunning(5_000);
  await db.commands.finish('c1', { status: 'succeeded', durationMs: 6_000 });
  expect(await db.commands.recent({ limit: 1 })).toMatchObject([{ status: 'succeeded' }]);
});

it('lists the newest commands, of one server or of all', async () => {
  const { db } = temporaryDatabase();
  await db.commands.begin(command('c1', 1_000));
  await db.commands.begin(command('c2', 3_000));
  await db.commands.begin(command('c3', 2_000, 'web-2'));
  const ids = async (filter: { serverId?: string; limit: number }) =>
    (await db.commands.recent(filter)).map((row) => row.id);
  expect(await ids({ limit: 10 })).toEqual(['c2', 'c3', 'c1']);
  expect(await ids({ limit: 1 })).toEqual(['c2']);
  expect(await ids({ serverId: 'web-1', limit: 10 })).toEqual(['c2', 'c1']);
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
