import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import {
  CALL_TIMEOUT_MAX_MS,
  DETACHED_MAX_MS,
  RESULT_KEPT_MS,
  RUNNING_MARGIN_MS,
} from '../../protocol/limits.ts';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { tidy } from './housekeeping.ts';

const NOW = 1_800_000_000_000;

it('agents that are away are waited for as long as the limit says, then their commands are lost', async () => {
  const { db } = temporaryDatabase();
  for (const awaySince of [NOW - DETACHED_MAX_MS - 1, NOW - DETACHED_MAX_MS]) {
    const id = randomUUID();
    await db.commands.begin({
      id,
      serverId: 'web-1',
      agentId: 'a1',
      actor: 'http',
      origin: null,
      instanceId: null,
      method: 'system.exec',
      params: {},
      startedAt: NOW - 2 * DETACHED_MAX_MS,
    });
    await db.commands.detach([id], { code: 1_002, message: 'gone' }, awaySince);
  }
  await tidy(db, pino({ level: 'silent' }), NOW);
  const rows = await db.commands.recent({ limit: 10 });
  expect(rows.map(({ status, errorCode }) => ({ status, errorCode }))).toEqual(
    expect.arrayContaining([
      { status: 'lost', errorCode: 1_013 },
      { status: 'detached', errorCode: 1_002 },
    ]),
  );
});

it('a command that still runs when no call can wait any more is lost', async () => {
  const { db } = temporaryDatabase();
  const latest = NOW - CALL_TIMEOUT_MAX_MS - RUNNING_MARGIN_MS;
  for (const [id, startedAt] of [
    ['over', latest - 1],
    ['may end', latest],
  ] as const) {
    await db.commands.begin({
      id,
      serverId: 'web-1',
      agentId: 'a1',
      actor: 'http',
      origin: null,
      instanceId: null,
      method: 'system.exec',
      params: {},
      startedAt,
    });
  }
  await tidy(db, pino({ level: 'silent' }), NOW);
  expect(await db.commands.recent({ limit: 10 })).toMatchObject([
    { id: 'may end', status: 'running' },
    { id: 'over', status: 'lost', errorCode: 1_013, durationMs: null },
  ]);
});

it('results are kept as long as the limit says', async () => {
  const { db } = temporaryDatabase();
  const owner = { actor: 'http', agentId: 'a1' };
  db.results.put({ commandId: 'old', ...owner, text: '1', keptAt: NOW - RESULT_KEPT_MS - 1 });
  db.results.put({ commandId: 'new', ...owner, text: '2', keptAt: NOW - RESULT_KEPT_MS });
  await tidy(db, pino({ level: 'silent' }), NOW);
  expect(await db.results.read('old')).toBeUndefined();
  expect(await db.results.read('new')).toMatchObject({ text: '2' });
});

it('a round that fails is logged, and the next one is tried all the same', async () => {
  const { db, client } = temporaryDatabase();
  const logged: string[] = [];
  const log = pino({ level: 'error' }, { write: (line: string) => void logged.push(line) });
  client.exec('ALTER TABLE agent_metrics RENAME TO away');
  await tidy(db, log, NOW);
  expect(logged).toHaveLength(1);
  client.exec('ALTER TABLE away RENAME TO agent_metrics');
  await tidy(db, log, NOW);
  expect(logged).toHaveLength(1);
});

it('a round that its owner ends leaves the rest for the next, and the database alone', async () => {
  const { db, client } = temporaryDatabase();
  const logged: string[] = [];
  const log = pino({ level: 'error' }, { write: (line: string) => void logged.push(line) });
  const closing = new AbortController();
  const round = tidy(db, log, NOW, closing.signal);
  // Between its first two steps.
  await Promise.resolve();
  closing.abort();
  client.close();
  await round;
  expect(logged).toEqual([]);
  await tidy(db, log, NOW, closing.signal);
  expect(logged).toEqual([]);
});
