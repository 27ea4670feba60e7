import { expect, it, onTestFinished, vi } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { LogListing } from './log-listing.ts';

const ANY = {
  since: 0,
  firstBefore: 1,
  beforeAt: 1,
  beforeBatch: 1,
  lastAt: 1,
  id: 1,
  limit: 4,
  agentId: 'a',
  agentIds: '["a","b"]',
};

/** A listing, and the statements that it uses. */
function setUp() {
  const { connection, client } = temporaryDatabase();
  const prepare = vi.spyOn(client, 'prepare');
  onTestFinished(() => prepare.mockRestore());
  const listing = new LogListing(connection);
  const statements = prepare.mock.calls.map(([text]) => text);
  const insert = client.prepare<[string, number, number]>(
    `INSERT INTO log_batches (agent_id, server_id, first_at, last_at, bytes, containers, lines)
    VALUES (?, 's', ?, ?, 1, '[]', '[]')`,
  );
  return { client, listing, statements, insert };
}

it.each([
  ['all agents', 'AND true', 'idx_log_batches_last_at'],
  ['one agent', '= @agentId', 'idx_log_batches_agent_id_last_at'],
  ['many agents', '@agentIds', 'idx_log_batches_last_at'],
])('has an index for the order and the times of %s', (_title, which, index) => {
  const { client, statements } = setUp();
  const query = statements.find((text) => text.includes(which));
  const plan = JSON.stringify(client.prepare(`EXPLAIN QUERY PLAN ${query}`).all(ANY));
  expect(plan).toContain(`USING COVERING INDEX ${index} `);
  expect(plan).not.toContain('TEMP B-TREE');
});

it.each([1, 3, 40])('lists the batches of %i agents in one order, page by page', (count) => {
  const { listing, insert } = setUp();
  const agentIds = Array.from({ length: count }, (_, at) => `a${at}`);
  const rows = Array.from({ length: 200 }, (_, at) => {
    // Some end at the same time, as those of two agents do.
    const lastAt = 1_000 + ((at * 7) % 50);
    const agentId = `a${at % (count + 1)}`;
    insert.run(agentId, lastAt - (at % 20), lastAt);
    return { id: at + 1, agentId, firstAt: lastAt - (at % 20), lastAt };
  });
  const since = 1_010;
  const until = 1_035;
  const before = { at: 1_033, batch: 100 };
  const expected = rows
    .filter(({ agentId, lastAt }) => agentIds.includes(agentId) && lastAt >= since)
    .filter(({ firstAt }) => firstAt < until)
    .filter(({ id, firstAt }) => firstAt < before.at || (firstAt === before.at && id <= 100))
    .toSorted((one, other) => other.lastAt - one.lastAt || other.id - one.id);
  const found: object[] = [];
  let page = listing.list({ agentIds, since, until, before, limit: 7 });
  while (page.length > 0) {
    found.push(...page);
    page = listing.list({ agentIds, since, until, before, after: page.at(-1), limit: 7 });
  }
  expect(found).toMatchObject(expected);
  expect(found.length).toBe(expected.length);
  expect(found.length).toBeGreaterThan(20);
});

it('finds nothing of no agents', () => {
  const { listing, insert } = setUp();
  insert.run('a', 1, 1);
  expect(listing.list({ agentIds: [], limit: 4 })).toEqual([]);
  expect(listing.list({ limit: 4 })).toMatchObject([{ agentId: 'a' }]);
});
