import { expect, it } from 'vitest';
import { DatabaseError, toDatabaseError } from './errors.ts';

const fileFault = (code: string) => Object.assign(new Error(code), { code, syscall: 'open' });

it('calls a disk full and a file unwritable by what the file system said', () => {
  expect(toDatabaseError(fileFault('ENOSPC')).code).toBe('full');
  expect(toDatabaseError(fileFault('EROFS')).code).toBe('unwritable');
});

it('calls anything it does not know other, and keeps it as the cause', () => {
  for (const cause of [new TypeError('no'), 'text', undefined]) {
    expect(toDatabaseError(cause)).toMatchObject({ name: 'DatabaseError', code: 'other', cause });
  }
});

it('leaves a DatabaseError as it is', () => {
  const error = new DatabaseError('newer', 'newer');
  expect(toDatabaseError(error)).toBe(error);
});
