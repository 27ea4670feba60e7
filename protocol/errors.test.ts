import { describe, expect, it } from 'vitest';
import {
  ERROR_CODES,
  errorName,
  errorNames,
  isErrorName,
  TomoError,
  toTomoError,
} from './errors.ts';

describe('the error table', () => {
  it('has each code once', () => {
    const codes = Object.values(ERROR_CODES);
    expect(new Set(codes)).toHaveLength(codes.length);
  });

  it('takes nothing of JSON-RPC’s reserved range but its own five', () => {
    const reserved = Object.values(ERROR_CODES).filter(
      (code) => code >= -32_768 && code <= -32_000,
    );
    expect(reserved.toSorted((a, b) => a - b)).toEqual([
      -32_700, -32_603, -32_602, -32_601, -32_600,
    ]);
    expect(Object.values(ERROR_CODES).every((code) => code < -32_000 || code >= 1_000)).toBe(true);
  });

  it('finds every name by its code, and INTERNAL_ERROR for a code that it does not have', () => {
    for (const name of errorNames()) expect(errorName(ERROR_CODES[name])).toBe(name);
    for (const code of [0, 999, -32_604, Number.NaN])
      expect(errorName(code)).toBe('INTERNAL_ERROR');
  });

  it('knows its names from others, such as Object’s own', () => {
    expect(isErrorName('NOT_FOUND')).toBe(true);
    for (const name of ['', 'toString', '__proto__', 'not_found']) {
      expect(isErrorName(name)).toBe(false);
    }
  });
});

describe('TomoError', () => {
  it('has the name’s code, its facts and its cause', () => {
    const cause = new Error('why');
    const error = new TomoError('CONFLICT', 'taken', { cause, facts: { container: 'db' } });
    expect(error).toMatchObject({
      name: 'CONFLICT',
      code: 1203,
      facts: { container: 'db' },
      cause,
    });
    expect(new TomoError('CONFLICT', 'taken')).toMatchObject({ facts: {} });
    expect('cause' in new TomoError('CONFLICT', 'taken')).toBe(false);
  });

  it('stays itself on its way to a peer', () => {
    const error = new TomoError('CONFLICT', 'taken');
    expect(toTomoError(error)).toBe(error);
  });

  it.each([[new Error('password=hunter2')], ['hunter2'], [undefined], [{ secret: 'hunter2' }]])(
    'stands for anything else without its words: %o',
    (cause) => {
      const error = toTomoError(cause);
      expect(error).toMatchObject({ name: 'INTERNAL_ERROR', code: -32_603 });
      expect(error.message).not.toContain('hunter2');
      expect(error.cause).toBe(cause);
    },
  );
});
