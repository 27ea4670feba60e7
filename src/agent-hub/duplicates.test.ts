import { expect, it } from 'vitest';
import { DUPLICATE_ADDRESSES_MAX_COUNT } from '../../protocol/limits.ts';
import { Duplicates, type TokenBearer } from './duplicates.ts';

const MINUTE_MS = 60_000;

const bearer = (more: Partial<TokenBearer> = {}): TokenBearer => ({
  agentId: 'a1',
  serverId: 'web-1',
  address: '192.0.2.1',
  host: { machine_id: 'm2' },
  instanceId: undefined,
  ...more,
});

/** Duplicates with a clock that a test sets, and what they reported. */
function watched() {
  const clock = { now: 0 };
  const reported: [type: string, agentId: string][] = [];
  const duplicates = new Duplicates({
    now: () => clock.now,
    report: ({ agentId }, type) => reported.push([type, agentId]),
  });
  const superseded = (older: string, newer: string) =>
    duplicates.superseded(bearer({ instanceId: older }), bearer({ instanceId: newer }));
  return { clock, duplicates, reported, superseded };
}

it('reports each agent and type once a minute', () => {
  const { clock, duplicates, reported, superseded } = watched();
  for (clock.now of [0, 1, MINUTE_MS - 1]) duplicates.refused(bearer());
  duplicates.refused(bearer({ agentId: 'a2' }));
  superseded('p1', 'p2');
  superseded('p2', 'p1');
  const first = [
    ['clone_refused', 'a1'],
    ['clone_refused', 'a2'],
    ['taking_turns', 'a1'],
  ];
  expect(reported).toEqual(first);
  clock.now = MINUTE_MS;
  duplicates.refused(bearer());
  expect(reported).toEqual([...first, ['clone_refused', 'a1']]);
  expect(duplicates.of('a1').refused).toBe(4);
});

it('keeps the newest addresses, each once', () => {
  const { duplicates } = watched();
  const addresses = Array.from({ length: 20 }, (_, i) => `192.0.2.${i}`);
  for (const address of [...addresses, '192.0.2.10']) duplicates.refused(bearer({ address }));
  const kept = duplicates.of('a1').addresses;
  expect(kept).toHaveLength(DUPLICATE_ADDRESSES_MAX_COUNT);
  expect(kept.slice(-2)).toEqual(['192.0.2.19', '192.0.2.10']);
  expect(new Set(kept).size).toBe(kept.length);
});

it('keeps what is known of a machine when another says nothing of itself', () => {
  const { duplicates } = watched();
  duplicates.refused(bearer());
  duplicates.refused(bearer({ host: undefined }));
  expect(duplicates.of('a1').lastHost).toEqual({ machine_id: 'm2' });
});

it('knows the eight processes again that were superseded last', () => {
  const { superseded } = watched();
  for (let i = 0; i < 9; i += 1) expect(superseded(`p${i}`, `p${i + 1}`)).toBe(false);
  expect(superseded('p9', 'p0')).toBe(false);
  // By now p0 and p1 have made room for p8 and p9.
  expect(superseded('p0', 'p1')).toBe(false);
  expect(superseded('p1', 'p5')).toBe(true);
});

it('keeps each agent’s counts apart, and none that are cleared', () => {
  const { duplicates } = watched();
  duplicates.refused(bearer());
  expect(duplicates.of('a2')).toEqual({ refused: 0, takingTurns: 0, addresses: [] });
  duplicates.clear('a1');
  expect(duplicates.of('a1').refused).toBe(0);
});
