import { describe, expect, it } from 'vitest';
import { LOG_SEARCHES_MAX_COUNT } from '../../protocol/limits.ts';
import { READER, startFleet, type TestFleet } from '../../test/support/fleet.ts';

const START_MS = 1_700_000_000_000;
const BOUNDS = { agentBytes: 64 * 1024 * 1024, overallBytes: 1024 * 1024 * 1024 };

interface Line {
  readonly second: number;
  readonly text: string;
  readonly container?: string;
  readonly stream?: 'stdout' | 'stderr';
  readonly lost?: true;
}

/** A server whose agent has pushed these lines, so many in a batch. */
async function server(fleet: TestFleet, serverId: string, lines: readonly Line[], size = 3) {
  const { agentId } = await fleet.test.join(serverId);
  const { db } = fleet.test.database;
  const containers = ['web', 'db'].map((name) => ({ id: `${name}-id-${serverId}`, name }));
  for (let start = 0; start < lines.length; start += size) {
    const batch = lines
      .slice(start, start + size)
      .map(({ second, text, container, stream, ...odd }) => ({
        ...odd,
        container: container === 'db' ? 1 : 0,
        stream: stream ?? ('stdout' as const),
        at: `${START_MS + second * 1_000}000000`,
        n: 0,
        text,
      }));
    const count = start + 1;
    await db.logs.store(
      { agentId, serverId, epoch: 'e', batch: count, containers, lines: batch },
      BOUNDS,
    );
  }
  return agentId;
}

async function found(fleet: TestFleet, args: object) {
  const { lines } = await fleet.perform('search_logs', args, READER);
  return lines.map(({ server_id, text }) => `${server_id} ${text}`);
}

describe('search_logs', () => {
  it('finds lines on all servers, the newest first, though agents push at different times', async () => {
    const fleet = await startFleet();
    await server(
      fleet,
      'a',
      [1, 4, 7, 10, 13, 16, 19].map((second) => ({ second, text: `Timeout ${second}` })),
    );
    await server(
      fleet,
      'b',
      [2, 5, 8, 11].map((second) => ({ second, text: `TIMEOUT ${second}` })),
      1,
    );
    await server(
      fleet,
      'c',
      [3, 6, 9].map((second) => ({ second, text: `all well ${second}` })),
    );
    expect(await found(fleet, { text: 'timeout' })).toEqual([
      'a Timeout 19',
      'a Timeout 16',
      'a Timeout 13',
      'b TIMEOUT 11',
      'a Timeout 10',
      'b TIMEOUT 8',
      'a Timeout 7',
      'b TIMEOUT 5',
      'a Timeout 4',
      'b TIMEOUT 2',
      'a Timeout 1',
    ]);
    const { lines } = await fleet.perform('search_logs', { text: 'well', limit: 1 }, READER);
    expect(lines).toEqual([
      {
        server_id: 'c',
        container: 'web',
        stream: 'stdout',
        at: new Date(START_MS + 9_000).toISOString(),
        text: 'all well 9',
      },
    ]);
  });

  it('gives all lines once over its pages, also those of one time', async () => {
    const fleet = await startFleet();
    const lines = Array.from({ length: 40 }, (_, count) => ({
      second: Math.floor(count / 7),
      text: `line ${count}`,
    }));
    await server(fleet, 'a', lines, 6);
    await server(fleet, 'b', lines, 1);
    const all = await found(fleet, { limit: 1_000 });
    expect(new Set(all).size).toBe(80);
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await fleet.perform(
        'search_logs',
        { limit: 3, ...(cursor && { cursor }) },
        READER,
      );
      paged.push(...page.lines.map(({ server_id, text }) => `${server_id} ${text}`));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(paged).toEqual(all);
  });

  it('says of which containers lines are lost in the time that is searched, and where', async () => {
    const fleet = await startFleet();
    await server(fleet, 'a', [
      { second: 1, text: 'timeout 1' },
      { second: 2, text: 'lines are lost', lost: true },
      { second: 3, text: 'timeout 3 [1,2]' },
      { second: 4, text: 'lines are lost', lost: true },
      { second: 5, text: 'well', container: 'db' },
      { second: 6, text: 'lines are lost', lost: true, container: 'db' },
    ]);
    const all = await fleet.perform('search_logs', { container: 'web' }, READER);
    expect(all.lines.map(({ text, lost }) => [text, lost])).toEqual([
      ['lines are lost', true],
      ['timeout 3 [1,2]', undefined],
      ['lines are lost', true],
      ['timeout 1', undefined],
    ]);
    expect(all.note).toContain('a/web (2 times)');
    const some = await fleet.perform('search_logs', { text: 'timeout' }, READER);
    expect(some.lines.map(({ text }) => text)).toEqual(['timeout 3 [1,2]', 'timeout 1']);
    expect(some.note).toContain('a/web (2 times), a/db:');
    const until = new Date(START_MS + 2_000).toISOString();
    expect(await fleet.perform('search_logs', { until }, READER)).not.toHaveProperty('note');
  });

  it('takes the text literally, in any case of any alphabet', async () => {
    const fleet = await startFleet();
    const texts = ['a.c', 'abc', '100%', 'x_y', 'Größe ÄPFEL', 'say "hi" \\ there'];
    await server(
      fleet,
      'a',
      texts.map((text, second) => ({ second, text })),
    );
    expect(await found(fleet, { text: 'a.c' })).toEqual(['a a.c']);
    expect(await found(fleet, { text: '%' })).toEqual(['a 100%']);
    expect(await found(fleet, { text: '_' })).toEqual(['a x_y']);
    expect(await found(fleet, { text: 'größe äpfel' })).toEqual(['a Größe ÄPFEL']);
    expect(await found(fleet, { text: '"HI" \\' })).toEqual(['a say "hi" \\ there']);
  });

  it('finds by container, output, time, server and label', async () => {
    const fleet = await startFleet();
    const lines: Line[] = [
      { second: 1, text: 'one' },
      { second: 2, text: 'two', container: 'db' },
      { second: 3, text: 'three', stream: 'stderr' },
    ];
    await server(fleet, 'a', lines);
    await server(fleet, 'b', lines);
    fleet.test.database.client.exec(`UPDATE servers SET labels = '{"role":"db"}' WHERE id = 'b'`);
    const time = (second: number): string => new Date(START_MS + second * 1_000).toISOString();
    expect(await found(fleet, { container: 'db' })).toEqual(['b two', 'a two']);
    expect(await found(fleet, { container: 'db-id-a' })).toEqual(['a two']);
    expect(await found(fleet, { container: 'd' })).toEqual([]);
    expect(await found(fleet, { stream: 'stderr', server_ids: ['a'] })).toEqual(['a three']);
    expect(await found(fleet, { since: time(2), until: time(3) })).toEqual(['b two', 'a two']);
    const [since, until] = [START_MS / 1_000 + 2, time(3).replace('Z', '')];
    expect(await found(fleet, { since, until })).toEqual(['b two', 'a two']);
    expect(await found(fleet, { labels: { role: 'db' }, text: 'one' })).toEqual(['b one']);
  });

  it('ends a page of long lines early', async () => {
    const fleet = await startFleet();
    const text = 'x'.repeat(16_000);
    await server(
      fleet,
      'a',
      [1, 2, 3, 4].map((second) => ({ second, text })),
    );
    const { lines, next_cursor } = await fleet.perform('search_logs', {}, READER);
    expect(lines).toHaveLength(2);
    const rest = await fleet.perform('search_logs', { cursor: next_cursor }, READER);
    expect(rest.lines).toHaveLength(2);
    expect(rest.next_cursor).toBeUndefined();
  });

  it('refuses a search when many are under way, and answers those', async () => {
    const fleet = await startFleet();
    await server(fleet, 'a', [{ second: 1, text: 'one' }]);
    const all = Array.from({ length: LOG_SEARCHES_MAX_COUNT + 1 }, () => found(fleet, {}));
    const ends = await Promise.allSettled(all);
    const refused = ends.filter(({ status }) => status === 'rejected');
    expect(refused).toEqual([
      { status: 'rejected', reason: expect.objectContaining({ name: 'LIMIT_REACHED' }) },
    ]);
    expect(ends[0]).toEqual({ status: 'fulfilled', value: ['a one'] });
  });

  it('says how logs are collected when it finds nothing, and refuses what it cannot know', async () => {
    const fleet = await startFleet();
    const { lines, note } = await fleet.perform('search_logs', { text: 'x' }, READER);
    expect(lines).toEqual([]);
    expect(note).toContain('configure_agents');
    await expect(found(fleet, { cursor: 'x' })).rejects.toMatchObject({ name: 'INVALID_PARAMS' });
    await expect(found(fleet, { server_ids: ['no'] })).rejects.toMatchObject({
      name: 'UNKNOWN_SERVER',
    });
    const gone = { ...READER, signal: AbortSignal.abort() };
    await expect(fleet.perform('search_logs', {}, gone)).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
    });
  });
});

describe('configure_agents for logs', () => {
  it('keeps it for the fleet or for one agent, and tells those that are there', async () => {
    const fleet = await startFleet();
    const { agent } = await fleet.test.join('a', { protocol: 1 });
    await fleet.test.join('old');
    const configuring = fleet.perform('configure_agents', { settings: { log_collection: 'all' } });
    const { id, method, params } = await agent.request();
    expect({ method, params }).toEqual({
      method: 'config.update',
      params: { log_collection: 'all' },
    });
    agent.send({ jsonrpc: '2.0', id, result: { status: 'ok' } });
    const { agents } = await configuring;
    expect(agents[0]).toMatchObject({ log_collection: 'all', log_keep_mib: 64, applied: true });
    expect(agents[1]).toMatchObject({ server_id: 'old', applied: false });
    expect(agents[1]?.note).toContain('too old to collect logs');
    const own = { log_collection: { label: 'logs=yes' }, log_keep_mib: 1 };
    const second = fleet.perform('configure_agents', { server_ids: ['a'], settings: own });
    const request = await agent.request();
    expect(request.params).toEqual({ log_collection: { label: 'logs=yes' } });
    agent.send({ jsonrpc: '2.0', id: request.id, result: { status: 'ok' } });
    expect((await second).agents[0]).toMatchObject(own);
    const wrong = { settings: { log_collection: { label: '=x' } } };
    expect(() => fleet.perform('configure_agents', wrong)).toThrow('label');
  });
});
