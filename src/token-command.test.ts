import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changeTokens } from './token-command.ts';

let dataDir = '';

beforeEach(() => {
  dataDir = join(mkdtempSync(join(tmpdir(), 'tomo-token-')), 'data');
});
afterEach(() => rmSync(join(dataDir, '..'), { recursive: true }));

/** Runs a command as on a terminal or not; answers what went to stdout. */
async function run(
  action: Parameters<typeof changeTokens>[0],
  options: { isTTY?: boolean } = {},
): Promise<string> {
  let written = '';
  const stdout = {
    ...options,
    write: (text: string) => {
      written += text;
    },
  };
  await changeTokens(action, { dataDir }, { stdout, stderr: { write: () => undefined } });
  return written;
}

describe('the list of tokens', () => {
  it('is empty where no token was ever added', async () => {
    expect(await run({ kind: 'list' })).toBe('');
  });

  it('has columns and a heading on a terminal', async () => {
    await run({ kind: 'add', name: 'a-long-name', access: 'read' });
    await run({ kind: 'add', name: 'b', access: 'operate' });
    const lines = (await run({ kind: 'list' }, { isTTY: true })).trimEnd().split('\n');
    expect(lines).toEqual([
      expect.stringMatching(/^NAME {9}ACCESS {3}CREATED$/),
      expect.stringMatching(/^a-long-name {2}read {5}\d{4}-/),
      expect.stringMatching(/^b {12}operate {2}\d{4}-/),
    ]);
  });
});

describe('a hint', () => {
  it('names the data directory, if it is not the default one', async () => {
    const told: string[] = [];
    const output = {
      stdout: { write: () => undefined },
      stderr: { write: (text: string) => told.push(text) },
    };
    await changeTokens({ kind: 'add', name: 'ci', access: 'read' }, { dataDir }, output);
    expect(told).toEqual([expect.stringContaining(`"tomo token rm ci --data-dir ${dataDir}"`)]);
    await expect(run({ kind: 'remove', name: 'x' })).rejects.toMatchObject({
      message: expect.stringContaining(`"tomo token ls --data-dir ${dataDir}"`),
    });
  });
});

it('the removal of a token says what of its commands goes on, and how to stop that', async () => {
  await run({ kind: 'add', name: 'ci', access: 'read' });
  const told: string[] = [];
  const output = {
    stdout: { write: () => undefined },
    stderr: { write: (text: string) => told.push(text) },
  };
  await changeTokens({ kind: 'remove', name: 'ci' }, { dataDir }, output);
  expect(told).toEqual([
    expect.stringMatching(
      /get_command_history \{"actor":"token:ci","status":"detached"\}.*cancel_command/,
    ),
  ]);
});

describe('what cannot be done', () => {
  it('is told with the exit status of what was typed wrong, or of what stands in the way', async () => {
    const add = { kind: 'add', name: 'ci', access: 'read' } as const;
    await run(add);
    await expect(run(add)).rejects.toMatchObject({ name: 'CONFLICT' });
    await expect(run({ ...add, name: 'C I' })).rejects.toMatchObject({ exitCode: 2 });
    await expect(run({ kind: 'remove', name: '../x' })).rejects.toMatchObject({ exitCode: 2 });
    await expect(run({ kind: 'remove', name: 'x' })).rejects.toMatchObject({ exitCode: 1 });
  });
});
