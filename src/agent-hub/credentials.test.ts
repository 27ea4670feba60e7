import { describe, expect, it } from 'vitest';
import { hashRegistrationCode, hashToken, newRegistrationCode, newToken } from './credentials.ts';

describe('a registration code', () => {
  it('is four groups of four digits of Crockford’s base32, which has no I, L, O or U', () => {
    for (let count = 0; count < 200; count += 1) {
      expect(newRegistrationCode()).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/);
    }
  });

  it('is never the same twice and uses every digit', () => {
    const codes = Array.from({ length: 2_000 }, newRegistrationCode);
    expect(new Set(codes)).toHaveLength(2_000);
    expect(new Set(codes.join('').replaceAll('-', ''))).toHaveLength(32);
  });

  it('is the same code in any case, with other separators, and with look-alike letters', () => {
    const hash = hashRegistrationCode('01AB-C1D0-WXYZ-7777');
    for (const typed of [
      '01ab-c1d0-wxyz-7777',
      '01ABC1D0WXYZ7777',
      ' 01AB C1D0 WXYZ 7777\n',
      'OIAB-CLDO-WXYZ-7777',
      'oiab-clDo-wxyz-7777',
    ]) {
      expect(hashRegistrationCode(typed)).toBe(hash);
    }
    expect(hashRegistrationCode('01AB-C1D0-WXYZ-7778')).not.toBe(hash);
  });
});

describe('a token', () => {
  it('is 32 random bytes as base64url', () => {
    const tokens = Array.from({ length: 200 }, newToken);
    for (const token of tokens) {
      expect(token).toMatch(/^[\w-]{43}$/);
      expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    }
    expect(new Set(tokens)).toHaveLength(200);
  });

  it('is hashed with SHA-256, case and all', () => {
    expect(hashToken('abc')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(hashToken('ABC')).not.toBe(hashToken('abc'));
  });
});
