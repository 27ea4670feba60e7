import { expect, it } from 'vitest';
import { ACCESS_LEVELS, type Access, grants, lowerAccess } from './access.ts';

const PAIRS = ACCESS_LEVELS.flatMap((a, i) =>
  ACCESS_LEVELS.map((b, j): [Access, Access, boolean] => [a, b, i >= j]),
);

it.each(PAIRS)('%s reaches up to %s: %s', (granted, needed, reaches) => {
  expect(grants(granted, needed)).toBe(reaches);
});

it.each(PAIRS)('of %s and %s the lower is given, in whichever order', (a, b, reaches) => {
  expect(lowerAccess(a, b)).toBe(reaches ? b : a);
  expect(lowerAccess(b, a)).toBe(lowerAccess(a, b));
});
