import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { MIGRATIONS_DIR, temporaryDirectory } from '../../test/support/temporary-database.ts';
import { Connection } from './connection.ts';
import { TomoDatabase } from './database.ts';
import { migrate } from './migrations.ts';

/** The migrations before the one that gave agents an identity. */
function olderMigrations(root: string): string {
  const directory = join(root, 'older');
  cpSync(MIGRATIONS_DIR, directory, { recursive: true });
  const file = join(directory, 'meta', '_journal.json');
  const journal = JSON.parse(readFileSync(file, 'utf8')) as { entries: { idx: number }[] };
  journal.entries = journal.entries.filter(({ idx }) => idx < 3);
  writeFileSync(file, JSON.stringify(journal));
  return directory;
}

it('takes the machine that an agent told last for its token’s, and its registration for the token’s age', async () => {
  const root = temporaryDirectory();
  const connection = new Connection(join(root, 'tomo.db'));
  onTestFinished(() => connection.close());
  const { client } = connection;
  migrate(client, olderMigrations(root));
  const hosts = {
    both: '{"hostname":"a","machine_id":"m1","engine_id":"e1"}',
    one: '{"machine_id":"m2","engine_id":""}',
    neither: '{"hostname":"c"}',
    seed: null,
  };
  for (const [id, host] of Object.entries(hosts)) {
    client.prepare('INSERT INTO servers (id, created_at) VALUES (?, 1)').run(id);
    const insert = `INSERT INTO agents
      (id, server_id, token_hash, access, host, registered_at, created_at, updated_at)
      VALUES (?, ?, ?, 'admin', ?, 5, 1, 1)`;
    client.prepare(insert).run(id, id, `token of ${id}`, host);
  }
  migrate(client, MIGRATIONS_DIR);
  const rows = await new TomoDatabase(connection).agents.list({ limit: 10 });
  expect(rows.map(({ id, identity }) => [id, identity])).toEqual([
    ['both', { machine_id: 'm1', engine_id: 'e1' }],
    ['neither', null],
    ['one', { machine_id: 'm2' }],
    ['seed', null],
  ]);
  expect(rows.map(({ tokenIssuedAt }) => tokenIssuedAt)).toEqual([5, 5, 5, 5]);
});
