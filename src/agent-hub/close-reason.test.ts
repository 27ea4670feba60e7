import { expect, it } from 'vitest';
import { closeReason } from './close-reason.ts';

it('leaves a reason that fits as it is', () => {
  expect(closeReason('agent revoked')).toBe('agent revoked');
  expect(closeReason('x'.repeat(123))).toHaveLength(123);
});

it.each([
  ['ASCII', 'x'],
  ['two bytes', 'é'],
  ['three bytes', '€'],
  ['four bytes', '🦊'],
])('cuts a longer one to 123 bytes without splitting a character: %s', (_title, character) => {
  for (const lead of ['', 'a', 'ab', 'abc']) {
    const reason = closeReason(lead + character.repeat(200));
    const bytes = Buffer.byteLength(reason);
    expect(bytes).toBeLessThanOrEqual(123);
    expect(bytes).toBeGreaterThan(123 - 4);
    expect(reason).not.toMatch(/[\uD800-\uDFFF]/u);
    expect(reason.replaceAll(character, '')).toBe(lead);
  }
});
