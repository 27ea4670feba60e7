import { expect, it } from 'vitest';
import { metricsText } from './metrics-text.ts';

const WHOLE = { min: 1, avg: 2, max: 3, last: null };
const METRICS = {
  server_id: 'web-1',
  since: '2026-01-31T10:00:00.000Z',
  until: '2026-01-31T11:00:00.000Z',
  step_seconds: 60,
  aggregate: 'max' as const,
  times: ['2026-01-31T10:00:00.000Z', '2026-01-31T10:01:00.000Z'],
  series: [
    { metric: 'cpu' as const, unit: 'percent', values: [1, 3], ...WHOLE },
    { metric: 'load' as const, unit: 'processes', values: [null, 0], ...WHOLE },
  ],
};

it('says what is measured in which unit, then a line for every step', () => {
  expect(metricsText(METRICS).split('\n')).toEqual([
    'web-1, max of every 60 s from 2026-01-31T10:00:00.000Z to 2026-01-31T11:00:00.000Z',
    'cpu (percent): min 1, avg 2, max 3, last -',
    'load (processes): min 1, avg 2, max 3, last -',
    '',
    'time\tcpu\tload',
    '2026-01-31T10:00:00Z\t1\t-',
    '2026-01-31T10:01:00Z\t3\t0',
  ]);
});

it('names the container, and why there is nothing', () => {
  const empty = { ...METRICS, container: 'db', times: [], note: 'Nothing was measured.' };
  const [head, note] = metricsText(empty).split('\n');
  expect(head).toContain('container db on web-1');
  expect(note).toBe('Nothing was measured.');
});
