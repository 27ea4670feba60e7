import { expect, it } from 'vitest';
import { LOG_BATCH_CONTAINERS_MAX_COUNT } from '../../protocol/limits.ts';
import { logBatchSchema } from '../../protocol/log-collection.ts';
import { type CollectedLine, lineBytes, OpenBatch } from './open-batch.ts';

function line(count: number): CollectedLine {
  const at = '1700000000000000000';
  const container = { id: `c${count}`, name: '' };
  const place = { at, n: 0 };
  return { container, line: { stream: 'stdout', place, text: '', isCut: false, isLost: false } };
}

it('is full when it names as many containers as a batch may, however short their lines', () => {
  const open = new OpenBatch();
  let count = 0;
  for (; open.fits(lineBytes(line(count))); count += 1)
    open.add(line(count), lineBytes(line(count)));
  expect(count).toBe(LOG_BATCH_CONTAINERS_MAX_COUNT);
  const { containers, lines } = open;
  const batch = { epoch: 'e', batch: 1, containers, lines };
  expect(logBatchSchema.safeParse(batch).success).toBe(true);
});
