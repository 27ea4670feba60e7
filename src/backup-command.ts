import type { Config } from './config.ts';
import type { Output } from './output.ts';
import { StartError } from './start-error.ts';

/** `tomo backup FILE`. Throws StartError. */
export async function runBackup(
  words: readonly string[],
  { dataDir }: Pick<Config, 'dataDir'>,
  { stdout, stderr }: Output,
): Promise<void> {
  const { backup } = await import('./backup/backup.ts');
  const { file, bytes, members } = await backup(dataDir, onlyFile('backup', words));
  stdout.write(`${file}\n`);
  stderr.write(`${bytes} bytes: ${members.join(', ')}. It holds secrets: keep it as one.\n`);
}

/** `tomo restore FILE [--replace]`. Throws StartError. */
export async function runRestore(
  words: readonly string[],
  { dataDir, replace }: Pick<Config, 'dataDir' | 'replace'>,
  { stderr }: Output,
): Promise<void> {
  const { restore } = await import('./backup/restore.ts');
  const summary = await restore(dataDir, onlyFile('restore', words), { replace });
  const { createdAt, version, movedAside, advice } = summary;
  const lines = [
    `Restored the backup of ${createdAt}, made by Tomo ${version}.`,
    ...movedAside.map((path) => `What was there before is now ${path}`),
    ...advice,
  ];
  stderr.write(lines.map((line) => `${line}\n`).join(''));
}

function onlyFile(command: string, words: readonly string[]): string {
  const [file, ...more] = words;
  if (file !== undefined && file !== '' && more.length === 0) return file;
  throw new StartError(`tomo ${command}: it takes one file: tomo ${command} FILE`, 2);
}
