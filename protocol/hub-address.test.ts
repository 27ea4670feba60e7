import { describe, expect, it } from 'vitest';
import { fingerprintSchema, hubUrlSchema, plainFingerprint } from './hub-address.ts';

const PLAIN = '0123456789abcdef'.repeat(4);
const COLONS = (PLAIN.toUpperCase().match(/../g) ?? []).join(':');

describe('fingerprintSchema', () => {
  it.each([PLAIN, COLONS, `sha256:${PLAIN}`, `SHA256=${COLONS}`])('takes %s', (text) => {
    expect(plainFingerprint(fingerprintSchema.parse(text))).toBe(PLAIN);
  });

  it.each(['', PLAIN.slice(1), `${PLAIN}0`, `sha1:${PLAIN}`, PLAIN.replace('0', 'g')])(
    'refuses %j',
    (text) => {
      expect(fingerprintSchema.safeParse(text).success).toBe(false);
    },
  );
});

describe('hubUrlSchema', () => {
  it.each(['ws://a/ws/agent', 'wss://a:1/b/ws/agent?x=1'])('takes %s', (url) => {
    expect(hubUrlSchema.safeParse(url).success).toBe(true);
  });

  it.each(['http://a', 'a', 'wss://a/#x', `wss://a/${'x'.repeat(2_048)}`])('refuses %s', (url) => {
    expect(hubUrlSchema.safeParse(url).success).toBe(false);
  });
});
