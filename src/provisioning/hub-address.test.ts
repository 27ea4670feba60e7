import { describe, expect, it } from 'vitest';
import { hubWebSocketUrl, isLoopback } from './hub-address.ts';

describe('the agents’ URL', () => {
  it.each([
    ['http://127.0.0.1:8000', 'ws://127.0.0.1:8000/ws/agent'],
    ['https://tomo.example.org', 'wss://tomo.example.org/ws/agent'],
    ['https://tomo.example.org/', 'wss://tomo.example.org/ws/agent'],
    ['https://example.org:8443/tomo', 'wss://example.org:8443/tomo/ws/agent'],
    ['https://example.org/tomo/', 'wss://example.org/tomo/ws/agent'],
    ['http://[::1]:8000', 'ws://[::1]:8000/ws/agent'],
  ])('of %s is %s', (publicUrl, expected) => {
    expect(hubWebSocketUrl(publicUrl)).toBe(expected);
  });
});

describe('an address', () => {
  it.each([
    'http://localhost:8000',
    'http://LOCALHOST',
    'http://tomo.localhost',
    'http://127.0.0.1',
    'http://127.1:8000',
    'http://127.8.9.10',
    'http://2130706433',
    'http://[::1]:8000',
  ])('of the machine itself is known as such: %s', (url) => {
    expect(isLoopback(url)).toBe(true);
  });

  it.each([
    'http://10.0.0.1',
    'http://192.168.127.1',
    'https://127.example.org',
    'https://localhost.example.org',
    'https://notlocalhost',
    'http://[2001:db8::1]',
  ])('that others can reach is not taken for it: %s', (url) => {
    expect(isLoopback(url)).toBe(false);
  });
});
