import { describe, expect, it } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import type { TomoDatabase } from '../db/database.ts';
import { type FoundLine, LogSearch } from './log-search.ts';

const BOUNDS = { agentBytes: 64 * 1024 * 1024, overallBytes: 1024 * 1024 * 1024 };
const NOW_S = 1_700_000_000;
const BATCHES_COUNT = 60;
const OLD_LINES_COUNT = 50;
const LIMIT = 10;

/** Each batch has one line of its time, and many of the same time long ago. */
async function mixed(): Promise<TomoDatabase['logs']> {
  const { db } = temporaryDatabase();
  const containers = [{ id: 'c1', name: 'web' }];
  const line = (second: number, text: string) => ({
    container: 0,
    stream: 'stdout' as const,
    at: `${second}000000000`,
    n: 0,
    text,
  });
  for (let batch = 1; batch <= BATCHES_COUNT; batch += 1) {
    const old = Array.from({ length: OLD_LINES_COUNT }, (_, n) => line(1, `old ${batch} ${n}`));
    const lines = [line(NOW_S + batch, `new ${batch}`), ...old];
    const source = { agentId: 'a', serverId: 's', epoch: 'e', batch };
    await db.logs.store({ ...source, containers, lines }, BOUNDS);
  }
  return db.logs;
}

/** What one page finds, and how many steps it takes. */
async function page(logs: TomoDatabase['logs'], after?: FoundLine['position'], text?: string) {
  const search = new LogSearch(logs, { after, limit: LIMIT, text });
  const found: FoundLine[] = [];
  let steps = 0;
  for (; found.length <= LIMIT && !search.isDone; steps += 1) {
    const step = await search.step();
    expect(step.length).toBeLessThanOrEqual(LIMIT + 1);
    found.push(...step);
  }
  return { found: found.slice(0, LIMIT), steps };
}

describe('a search among batches of few new and many old lines', () => {
  it('reads for a page no more than the page takes, at its beginning and behind it', async () => {
    const logs = await mixed();
    const seen: string[] = [];
    let after: FoundLine['position'] | undefined;
    for (let count = 0; count < BATCHES_COUNT / LIMIT + 10; count += 1) {
      const { found, steps } = await page(logs, after);
      expect(steps).toBeLessThanOrEqual(4);
      seen.push(...found.map(({ text }) => text));
      after = found.at(-1)?.position;
    }
    expect(seen.slice(0, 3)).toEqual(['new 60', 'new 59', 'new 58']);
    expect(seen[BATCHES_COUNT]).toBe('old 60 49');
    expect(seen[BATCHES_COUNT + OLD_LINES_COUNT]).toBe('old 59 49');
    expect(new Set(seen).size).toBe(BATCHES_COUNT + 10 * LIMIT);
  });

  it('goes on from how far it has come when it found nothing', async () => {
    const logs = await mixed();
    const text = 'old 1 ';
    const first = new LogSearch(logs, { text, limit: LIMIT });
    for (let steps = 0; steps < 20; steps += 1) expect(await first.step()).toEqual([]);
    const { found, steps } = await page(logs, first.reached, text);
    expect(found).toHaveLength(LIMIT);
    expect(steps).toBeLessThan(15);
  });
});
