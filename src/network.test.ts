import { expect, it } from 'vitest';
import { isNetwork } from './network.ts';

it.each(['127.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '192.0.2.1/32', '::1', 'fd00::/8', '::/0'])(
  'takes %s',
  (text) => expect(isNetwork(text)).toBe(true),
);

it.each([
  '',
  'proxy',
  '10.0.0',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '::1/129',
  '::1/x',
  '/8',
])('refuses "%s"', (text) => expect(isNetwork(text)).toBe(false));
