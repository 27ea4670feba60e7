import { describe, expect, it } from 'vitest';
import { auditParams, boundedParams } from './audit-params.ts';

describe('params in the audit', () => {
  it('are kept whole while they are short', () => {
    const params = { command: 'uptime', timeout: 5 };
    expect(auditParams('system.exec', params)).toEqual(params);
  });

  it('are described where they are too long, the short ones kept', () => {
    const params = { command: 'x'.repeat(100_000), cwd: '/tmp' };
    expect(auditParams('system.exec', params)).toEqual({
      command: '[100002 characters, not kept]',
      cwd: '/tmp',
    });
  });

  it('are left out if their names alone are too many', () => {
    const params = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`name ${i}`, i]));
    expect(boundedParams(params)).toEqual({});
  });
});
