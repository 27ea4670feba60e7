import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { clientAddressOf } from './client-address.ts';

const PROXIES = ['127.0.0.1', '10.0.0.0/8', 'fd00::/8', '2001:db8::7'];

const address = (peer: string | undefined, forwarded?: string, proxies = PROXIES): string => {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: peer });
  const request = new IncomingMessage(socket);
  if (forwarded !== undefined) request.headers['x-forwarded-for'] = forwarded;
  return clientAddressOf(proxies)(request);
};

describe('the address of a client', () => {
  it.each<[string | undefined, string | undefined, string]>([
    ['192.0.2.1', undefined, '192.0.2.1'],
    ['::ffff:192.0.2.1', undefined, '192.0.2.1'],
    ['2001:DB8:0:0::1', undefined, '2001:db8::1'],
    ['fe80::1%eth0', undefined, 'fe80::1'],
    [undefined, undefined, 'unknown'],
    [undefined, '198.51.100.1', 'unknown'],
  ])('of a socket from %s that forwards %s is %s', (peer, forwarded, expected) => {
    expect(address(peer, forwarded)).toBe(expected);
  });

  it.each(['192.0.2.1', '128.0.0.1', '::1', 'fe80::1', '2001:db8::8', '::ffff:11.0.0.1'])(
    'is never what %s says, which is no trusted proxy',
    (peer) => {
      expect(address(peer, '198.51.100.1')).toBe(address(peer));
    },
  );

  it('is never what is said where no proxy is trusted', () => {
    expect(address('127.0.0.1', '198.51.100.1', [])).toBe('127.0.0.1');
  });

  it.each([
    '127.0.0.1',
    '10.255.0.1',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    'fd12::1',
    '2001:db8::7',
  ])('is what the trusted proxy %s says', (peer) => {
    expect(address(peer, '198.51.100.1')).toBe('198.51.100.1');
  });

  it.each([
    ['203.0.113.9, 198.51.100.1', '198.51.100.1'],
    ['203.0.113.9, 198.51.100.1, 10.0.0.2', '198.51.100.1'],
    ['203.0.113.9,198.51.100.1 ,  10.0.0.2,fd00::2, 127.0.0.1', '198.51.100.1'],
    ['10.9.9.9, 198.51.100.1, 10.0.0.2', '198.51.100.1'],
    ['10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['2001:db8::99', '2001:db8::99'],
    ['[2001:DB8::99]', '2001:db8::99'],
    ['[2001:db8::99]:443', '2001:db8::99'],
    ['198.51.100.1:443', '198.51.100.1'],
    ['::ffff:198.51.100.1', '198.51.100.1'],
    ['203.0.113.9, ::ffff:10.0.0.2', '203.0.113.9'],
  ])('behind several hops, %s, is the right-most that is not trusted', (forwarded, expected) => {
    expect(address('127.0.0.1', forwarded)).toBe(expected);
  });

  it.each([
    ['', '127.0.0.1'],
    [',', '127.0.0.1'],
    ['unknown', '127.0.0.1'],
    ['198.51.100.1, unknown', '127.0.0.1'],
    ['198.51.100.1, unknown, 10.0.0.2', '10.0.0.2'],
    ['198.51.100.1, 10.0.0.256', '127.0.0.1'],
    ['198.51.100.1, <script>', '127.0.0.1'],
    ['198.51.100.1, _hidden, 10.0.0.2, 10.0.0.3', '10.0.0.2'],
    ['[::1', '127.0.0.1'],
    ['1.2.3', '127.0.0.1'],
  ])('is the last proxy that is known where garbage stands: %j', (forwarded, expected) => {
    expect(address('127.0.0.1', forwarded)).toBe(expected);
  });
});
