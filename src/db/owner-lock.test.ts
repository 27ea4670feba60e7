import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type ChildScript, startScript } from '../../test/support/child-script.ts';
import { temporaryDirectory } from '../../test/support/temporary-database.ts';
import { acquireOwnerLock } from './owner-lock.ts';

const HOLD = `
  import { acquireOwnerLock } from ${JSON.stringify(new URL('owner-lock.ts', import.meta.url).href)};
  const lock = acquireOwnerLock(process.argv[1]);
  console.log(lock ? 'held' : 'refused');
  process.stdin.once('data', () => { lock.release(); console.log('released'); });
`;

async function startHolder(directory: string): Promise<ChildScript> {
  const holder = startScript(HOLD, [directory]);
  expect(await holder.nextLine()).toBe('held');
  return holder;
}

it('gives the lock once, and again after its release', () => {
  const directory = temporaryDirectory();
  const first = acquireOwnerLock(directory);
  expect(first).toBeDefined();
  expect(acquireOwnerLock(directory)).toBeUndefined();
  first?.release();
  using again = acquireOwnerLock(directory);
  expect(again).toBeDefined();
});

it('stays held after a refused attempt of the same process', async () => {
  const directory = temporaryDirectory();
  using lock = acquireOwnerLock(directory);
  expect(lock).toBeDefined();
  expect(acquireOwnerLock(directory)).toBeUndefined();
  expect(await startScript(HOLD, [directory]).nextLine()).toBe('refused');
});

it('gives each directory a lock of its own', () => {
  using first = acquireOwnerLock(temporaryDirectory());
  using second = acquireOwnerLock(temporaryDirectory());
  expect([first, second]).not.toContain(undefined);
});

it('refuses the lock while another process holds it, and gives it after the release there', async () => {
  const directory = temporaryDirectory();
  const holder = await startHolder(directory);
  expect(acquireOwnerLock(directory)).toBeUndefined();
  holder.send('release');
  expect(await holder.nextLine()).toBe('released');
  using lock = acquireOwnerLock(directory);
  expect(lock).toBeDefined();
});

it('gives the lock after its holder was killed with SIGKILL', async () => {
  const directory = temporaryDirectory();
  const holder = await startHolder(directory);
  expect(acquireOwnerLock(directory)).toBeUndefined();
  const ended = once(holder.child, 'exit');
  holder.child.kill('SIGKILL');
  await ended;
  using lock = acquireOwnerLock(directory);
  expect(lock).toBeDefined();
});

it('makes a lock file that nobody else may open', () => {
  const directory = temporaryDirectory();
  using lock = acquireOwnerLock(directory);
  expect(lock).toBeDefined();
  expect(statSync(join(directory, 'owner.lock')).mode & 0o777).toBe(0o600);
});

it.each([
  ['the directory does not exist', (directory: string) => join(directory, 'absent')],
  [
    'the directory is a file',
    (directory: string) => {
      const file = join(directory, 'file');
      writeFileSync(file, '');
      return file;
    },
  ],
  [
    'the lock file is a directory',
    (directory: string) => {
      mkdirSync(join(directory, 'owner.lock'));
      return directory;
    },
  ],
  [
    'the lock file is something else',
    (directory: string) => {
      writeFileSync(join(directory, 'owner.lock'), 'x'.repeat(4096));
      return directory;
    },
  ],
])('throws unwritable when %s', (_title, prepare) => {
  const directory = prepare(temporaryDirectory());
  expect(() => acquireOwnerLock(directory)).toThrow(
    expect.objectContaining({ name: 'DatabaseError', code: 'unwritable' }),
  );
});
