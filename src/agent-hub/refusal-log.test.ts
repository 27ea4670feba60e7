import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { RefusalLog } from './refusal-log.ts';

it('writes one line a second and says how many refusals it left out', () => {
  const lines: unknown[] = [];
  const sink = new Writable({
    write: (line, _encoding, done) => {
      lines.push(JSON.parse(String(line)));
      done();
    },
  });
  const clock = { now: 0 };
  const log = new RefusalLog(pino(sink), () => clock.now);
  const refused = { address: '192.0.2.7', refusal: 'CODE_UNKNOWN', close: 4001 };
  for (let count = 0; count < 100; count += 1) log.record(refused);
  expect(lines).toMatchObject([{ ...refused, left_out: 0 }]);
  clock.now += 999;
  log.record(refused);
  expect(lines).toHaveLength(1);
  clock.now += 1;
  log.record({ ...refused, refusal: 'CODE_USED' });
  log.record(refused);
  expect(lines).toMatchObject([{ left_out: 0 }, { refusal: 'CODE_USED', left_out: 100 }]);
});
