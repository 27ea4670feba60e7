import { rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { requirePart } from './docker-engine.ts';
import { isInstalled, isRoot } from './installed.ts';
import type { Started } from './processes.ts';
import { runProgram } from './run-program.ts';

/** Whether this machine lets a test mount a file system of its own. */
export const canMount = requirePart(
  'mount',
  isRoot() && isInstalled('mount', 'umount') ? true : undefined,
  'a small file system needs root',
);

/** A file system of a few megabytes that a test can fill. */
export class SmallDisk {
  readonly path: string;
  readonly #ballast: string;

  private constructor(path: string) {
    this.path = path;
    this.#ballast = join(path, 'ballast');
  }

  /** Unmounted with the test, after what was started later has ended. */
  static async mount(started: Started, megabytes: number): Promise<SmallDisk> {
    const path = started.directory();
    await runProgram('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path);
    started.defer(async () => void (await runProgram('umount', '--lazy', path)));
    return new SmallDisk(path);
  }

  /** Leaves no free byte. */
  async fill(): Promise<void> {
    const { bavail, bsize } = await statfs(this.path);
    writeFileSync(this.#ballast, Buffer.alloc(bavail * bsize));
  }

  makeRoom(): void {
    rmSync(this.#ballast);
  }

  async makeReadOnly(): Promise<void> {
    await runProgram('mount', '-o', 'remount,ro', this.path);
  }
}
