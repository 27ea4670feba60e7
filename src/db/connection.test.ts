import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { expect, it, onTestFinished, vi } from 'vitest';
import {
  openHandle,
  temporaryDatabase,
  temporaryDirectory,
} from '../../test/support/temporary-database.ts';
import { Connection } from './connection.ts';

const databaseError = (code: string) => expect.objectContaining({ name: 'DatabaseError', code });

const EVENT = { agentId: 'a', serverId: 'web-1', type: 'start', at: 1 };

it('makes a file that only its owner may open, with its side files', async () => {
  const { file, db } = temporaryDatabase();
  await db.events.append([EVENT]);
  for (const name of [file, `${file}-wal`, `${file}-shm`]) {
    expect(statSync(name).mode & 0o777).toBe(0o600);
  }
});

it('opens with a write-ahead log, normal syncing and foreign keys', () => {
  const { client } = temporaryDatabase();
  const pragma = (name: string) => client.pragma(name, { simple: true });
  expect(pragma('journal_mode')).toBe('wal');
  expect(pragma('synchronous')).toBe(1);
  expect(pragma('foreign_keys')).toBe(1);
});

it.each([
  ['unwritable', 'the directory does not exist', () => 'absent/tomo.db'],
  ['unwritable', 'the file is a directory', (root: string) => madeDirectory(root, 'tomo.db')],
  ['corrupt', 'the file is not a database', (root: string) => madeFile(root, 'tomo.db')],
])('throws %s when %s', (code, _title, prepare) => {
  const root = temporaryDirectory();
  expect(() => new Connection(join(root, prepare(root)))).toThrow(databaseError(code));
});

it('throws locked for a write while another handle writes, and works again afterwards', async () => {
  const { file, db } = temporaryDatabase();
  const other = openHandle(file);
  other.client.exec('BEGIN IMMEDIATE');
  await expect(db.events.append([EVENT])).rejects.toThrow(databaseError('locked'));
  await expect(db.agents.disconnectAll(1)).rejects.toThrow(databaseError('locked'));
  expect(await db.events.recent('a', 10)).toEqual([]);
  other.client.exec('ROLLBACK');
  await db.events.append([EVENT]);
  expect(await db.events.recent('a', 10)).toHaveLength(1);
});

it('waits for a lock no more for some time after it waited in vain, unless it is gone', async () => {
  const { file, client, connection, db } = temporaryDatabase();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
  onTestFinished(() => clock.mockRestore());
  const timeout = () => connection.run(() => client.pragma('busy_timeout', { simple: true }));
  const other = openHandle(file);
  other.client.exec('BEGIN IMMEDIATE');
  expect(await timeout()).toBe(1_000);
  await expect(db.events.append([EVENT])).rejects.toThrow(databaseError('locked'));
  clock.mockReturnValue(9_999);
  expect(await timeout()).toBe(0);
  await expect(db.events.append([EVENT])).rejects.toThrow(databaseError('locked'));
  clock.mockReturnValue(10_000);
  expect(await timeout()).toBe(1_000);
  await expect(db.events.append([EVENT])).rejects.toThrow(databaseError('locked'));
  expect(await timeout()).toBe(0);
  other.client.exec('ROLLBACK');
  await db.events.append([EVENT]);
  expect(await timeout()).toBe(1_000);
});

it('keeps other writers out from the start of a transaction, even one that reads first', async () => {
  const { file, client, connection } = temporaryDatabase();
  const other = openHandle(file).client;
  other.pragma('busy_timeout = 0');
  await connection.transaction(() => {
    client.prepare('SELECT count(*) FROM settings').get();
    expect(() => other.exec('DELETE FROM servers')).toThrow(
      expect.objectContaining({ code: 'SQLITE_BUSY' }),
    );
    client.exec('DELETE FROM settings');
  });
  expect(other.prepare('SELECT count(*) FROM settings').pluck().get()).toBe(0);
});

it('throws full when there is no room, and leaves nothing half-written', async () => {
  const { client, db } = temporaryDatabase();
  client.pragma(`max_page_count = ${Number(client.pragma('page_count', { simple: true })) + 4}`);
  const events = Array.from({ length: 50 }, (_, at) => ({
    ...EVENT,
    at,
    detail: { text: 'x'.repeat(1_000) },
  }));
  await expect(db.events.append(events)).rejects.toThrow(databaseError('full'));
  expect(await db.events.recent('a', 100)).toEqual([]);
  await db.events.append([EVENT]);
  expect(await db.events.recent('a', 100)).toHaveLength(1);
});

it('throws readonly when the database may only be read', async () => {
  const { client, db } = temporaryDatabase();
  client.pragma('query_only = ON');
  await expect(db.settings.set({ agent_code_ttl_minutes: '9' }, 1)).rejects.toThrow(
    databaseError('readonly'),
  );
  expect(await db.settings.all()).toMatchObject({ agent_code_ttl_minutes: '5' });
});

it.each(['{"a":', '[1]'])('throws corrupt for a row whose JSON is %s', async (text) => {
  const { client, db } = temporaryDatabase();
  await db.events.append([{ ...EVENT, detail: { exit_code: 1 } }]);
  client.prepare('UPDATE agent_events SET detail = ?').run(text);
  await expect(db.events.recent('a', 1)).rejects.toThrow(databaseError('corrupt'));
});

it('keeps the cause, also of a fault in a raw statement', async () => {
  const { connection } = temporaryDatabase();
  connection.client.pragma('query_only = ON');
  await expect(
    connection.run(() => connection.orm.run(sql`DELETE FROM settings`)),
  ).rejects.toMatchObject({ code: 'readonly', cause: expect.any(Error) });
});

it('throws other for a call after the database was closed', async () => {
  const { db } = temporaryDatabase();
  db.close();
  db.close();
  await expect(db.settings.all()).rejects.toThrow(databaseError('other'));
});

it('throws other for a statement that is refused', async () => {
  const { client, db } = temporaryDatabase();
  client.exec(
    "CREATE TRIGGER no_events BEFORE INSERT ON agent_events BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  await expect(db.events.append([EVENT])).rejects.toThrow(databaseError('other'));
});

it('leaves the file alone when it is there already', () => {
  const root = temporaryDirectory();
  const name = madeFile(root, 'tomo.db');
  expect(() => new Connection(join(root, name))).toThrow(databaseError('corrupt'));
  expect(readFileSync(join(root, name), 'utf8')).toBe(NOT_A_DATABASE);
});

const NOT_A_DATABASE = 'not a database '.repeat(300);

function madeFile(root: string, name: string): string {
  writeFileSync(join(root, name), NOT_A_DATABASE);
  return name;
}

function madeDirectory(root: string, name: string): string {
  mkdirSync(join(root, name));
  return name;
}
