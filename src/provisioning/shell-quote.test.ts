import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { shellQuote } from './shell-quote.ts';

it.each([
  'plain',
  'wss://example.org:8443/ws/agent',
  '',
  ' ',
  'two words',
  "it's",
  "''",
  '"quoted"',
  '$HOME',
  '$(id)',
  '`id`',
  '!history',
  'a;b|c&d>e<f',
  '*?[a]{b,c}~',
  'back\\slash\\',
  'line\nbreak',
  '\ttab',
  '#comment',
  '-n',
  '=',
  'é €🦊',
])('a shell reads back unchanged: %j', (word) => {
  const script = `printf '%s\\0' ${shellQuote(word)}`;
  expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' })).toBe(`${word}\0`);
});

it('leaves a plain word bare, for people to read', () => {
  expect(shellQuote('--restart')).toBe('--restart');
  expect(shellQuote('/:/host:ro')).toBe('/:/host:ro');
});
