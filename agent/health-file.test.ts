import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HealthFile } from './health-file.ts';

let directory = '';
let logged = '';
const log = pino({ level: 'trace' }, { write: (line: string) => void (logged += line) });

beforeEach(async () => {
  logged = '';
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-health-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('HealthFile', () => {
  it('is there while connected only, and one of an earlier process is gone at the start', async () => {
    const file = path.join(directory, 'connected');
    await writeFile(file, '');
    const health = new HealthFile(log, file);
    expect(existsSync(file)).toBe(false);
    health.set(true);
    expect(existsSync(file)).toBe(true);
    health.set(false);
    health.set(false);
    expect(existsSync(file)).toBe(false);
    expect(logged).toBe('');
  });

  it('says so in the log when the file can be neither written nor removed', async () => {
    const health = new HealthFile(log, path.join(directory, 'absent', 'connected'));
    expect(logged).toBe('');
    health.set(true);
    expect(logged).toContain('ENOENT');

    logged = '';
    expect(() => new HealthFile(log, directory).set(false)).not.toThrow();
    expect(logged).toContain('health file not changed');
  });
});
