import { describe, expect, it } from 'vitest';
import { chooseHub } from './hub-address.ts';

const PIN = 'ab'.repeat(32);
const OTHER_PIN = 'cd'.repeat(32);
const nothing = { url: undefined, fingerprint: undefined };

describe('chooseHub', () => {
  it('takes the environment’s before the stored one', () => {
    const stored = { server_url: 'wss://b/', server_fingerprint: PIN };
    const given = { url: 'ws://a/', fingerprint: undefined };
    expect(chooseHub(given, stored)).toEqual(given);
    expect(chooseHub(nothing, stored)).toEqual({ url: 'wss://b/', fingerprint: PIN });
    const pinned = chooseHub({ url: undefined, fingerprint: OTHER_PIN }, stored);
    expect(pinned).toEqual({ url: 'wss://b/', fingerprint: OTHER_PIN });
  });

  it.each([undefined, '', 'http://hub.example'])('refuses to go on with %j stored alone', (url) => {
    const stored = url === undefined ? undefined : { server_url: url };
    expect(() => chooseHub(nothing, stored)).toThrow(/^SERVER_URL: /);
  });

  const moved = {
    server_url: 'wss://new/',
    server_fingerprint: PIN,
    moved_from: 'wss://old/',
    moved_from_fingerprint: OTHER_PIN,
  };

  it('stays where the hub moved it while the environment is as it was', () => {
    const given = { url: 'wss://old/', fingerprint: OTHER_PIN };
    const there = { url: 'wss://new/', fingerprint: PIN, movedFrom: given };
    expect(chooseHub(given, moved)).toEqual(there);
    expect(chooseHub(nothing, moved)).toEqual({ url: 'wss://new/', fingerprint: PIN });
  });

  it.each([
    ['address', 'wss://third/', OTHER_PIN],
    ['pin', 'wss://old/', PIN],
    ['pin, now none,', 'wss://old/', undefined],
  ])('goes by an environment whose %s a person has changed since', (_, url, fingerprint) => {
    expect(chooseHub({ url, fingerprint }, moved)).toEqual({ url, fingerprint });
  });

  it('refuses to pin an address that has no certificate', () => {
    const pinned = { url: 'ws://a/', fingerprint: PIN };
    expect(() => chooseHub(pinned, undefined)).toThrow(/^SERVER_FINGERPRINT: /);
  });
});
