import { pino } from 'pino';
import { expect, it } from 'vitest';
import { dataDirectory } from '../../test/support/log-collecting.ts';
import type { CollectedLine } from './open-batch.ts';
import { PositionFile } from './position-file.ts';

function line(id: string): CollectedLine {
  const place = { at: '1', n: 0 };
  const container = { id, name: id };
  return { container, line: { stream: 'stdout', place, text: '', isCut: false, isLost: false } };
}

it('PositionFile lets those go that are not followed, however long a followed one has said nothing', async () => {
  const positions = new PositionFile(await dataDirectory(), pino({ level: 'silent' }));
  positions.stored([line('quiet'), line('left')]);
  for (let count = 1; count <= 2_500; count += 1) {
    positions.renew(['quiet', 'unknown']);
    positions.stored([line(`job-${count}`)]);
  }
  expect(positions.of('quiet')?.stdout).toEqual({ at: '1', n: 0 });
  expect(positions.of('left')).toBeUndefined();
  expect(positions.of('unknown')).toBeUndefined();
});
