import { createHash, randomBytes } from 'node:crypto';

const CROCKFORD_DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_CHARS = 16;
const CODE_GROUP_CHARS = 4;
const TOKEN_BYTES = 32;

/** A registration code: 80 random bits in Crockford's base32, as `7K2Q-M9XW-4TND-8HJA`. */
export function newRegistrationCode(): string {
  // One byte per digit: 256 is a multiple of 32, so no digit is favoured.
  const digits = Array.from(randomBytes(CODE_CHARS), (byte) => CROCKFORD_DIGITS.charAt(byte % 32));
  const groups = [];
  for (let start = 0; start < CODE_CHARS; start += CODE_GROUP_CHARS) {
    groups.push(digits.slice(start, start + CODE_GROUP_CHARS).join(''));
  }
  return groups.join('-');
}

/** The hash under which a code is stored; any case, dashes and Crockford's look-alikes are the same code. */
export function hashRegistrationCode(code: string): string {
  const digits = code.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
  return sha256(digits);
}

/** An agent's token: 32 random bytes, base64url. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** The hash under which a token is stored and found. */
export function hashToken(token: string): string {
  return sha256(token);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
