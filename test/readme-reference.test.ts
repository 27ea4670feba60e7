import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { methodNames } from '../protocol/commands/catalogue.ts';
import { ERROR_CODES, errorNames } from '../protocol/errors.ts';
import { CLOSE_CODES } from '../protocol/handshake.ts';
import * as limits from '../protocol/limits.ts';
import { withReference } from '../scripts/command-reference.ts';

const README = read('README.md');
const PROTOCOL = read('PROTOCOL.md');

function read(name: string): string {
  return readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
}

describe('the command reference in README.md', () => {
  it('is what "npm run docs:reference" writes', () => {
    expect(README).toBe(withReference(README));
  });

  it('names every method', () => {
    const listed = [...README.matchAll(/^\| `([a-z_.]+)` \|/gm)].map(([, method]) => method);
    expect(listed).toEqual(expect.arrayContaining([...methodNames()]));
  });

  it('shows a parameter’s type, default and whether it may be left out', () => {
    expect(README).toContain('`timeout: integer 1..86400 = 60`<br>`cwd?: string`');
    expect(README).toContain('`command?: string \\| string[]`');
  });

  it.each(['', '<!-- commands:begin -->\n', '<!-- commands:end -->\n<!-- commands:begin -->\n'])(
    'is not written into a text without its two marker lines: %j',
    (text) => {
      expect(() => withReference(text)).toThrow('commands:begin');
    },
  );
});

describe('PROTOCOL.md', () => {
  it.each(errorNames())('lists the error %s with its code', (name) => {
    expect(PROTOCOL).toContain(`| ${ERROR_CODES[name]} | \`${name}\` |`);
  });

  it.each(Object.entries(limits))('lists the limit %s with its value', (name, value) => {
    expect(PROTOCOL).toContain(`| \`${name}\` | ${value.toLocaleString('en')} |`);
  });

  it.each(Object.values(CLOSE_CODES))('lists the close code %i', (code) => {
    expect(PROTOCOL).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
  });
});
