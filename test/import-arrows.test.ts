import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A file of each room with an import that its arrows forbid, and one with an import they allow. */
const FORBIDDEN: [file: string, specifier: string][] = [
  ['protocol/planted.ts', 'ws'],
  ['protocol/planted.ts', '../src/config.ts'],
  ['protocol/commands/planted.ts', '../../agent/state.ts'],
  ['src/db/planted.ts', '../../protocol/errors.ts'],
  ['src/db/planted.ts', '../config.ts'],
  ['src/agent-hub/planted.ts', '../fleet/fleet.ts'],
  ['src/agent-hub/planted.ts', 'drizzle-orm'],
  ['src/provisioning/planted.ts', '../db/database.ts'],
  ['src/fleet/planted.ts', '../mcp/http.ts'],
  ['src/fleet/planted.ts', 'better-sqlite3'],
  ['src/mcp/planted.ts', '../agent-hub/agent-hub.ts'],
  ['src/mcp/tools/planted.ts', '../../db/database.ts'],
  ['src/mcp/tools/planted.ts', '../../config.ts'],
  ['src/mcp/planted.ts', '../config.ts'],
  ['src/tls/planted.ts', '../db/database.ts'],
  ['src/tls/planted.ts', '../fleet/fleet.ts'],
  ['src/tls/planted.ts', '../../agent/hub-transport.ts'],
  ['src/backup/planted.ts', '../mcp/access-tokens.ts'],
  ['src/backup/planted.ts', '../fleet/operations.ts'],
  ['src/backup/planted.ts', 'better-sqlite3'],
  ['src/planted.ts', '../agent/main.ts'],
  ['agent/planted.ts', '../src/config.ts'],
  ['agent/commands/planted.ts', '../../src/fleet/fleet.ts'],
];
const ALLOWED: [file: string, specifier: string][] = [
  ['protocol/planted.ts', 'zod'],
  ['protocol/commands/planted.ts', '../errors.ts'],
  ['src/db/planted.ts', 'drizzle-orm'],
  ['src/agent-hub/planted.ts', '../db/database.ts'],
  ['src/fleet/planted.ts', '../agent-hub/agent-hub.ts'],
  ['src/mcp/planted.ts', '../token-name.ts'],
  ['src/mcp/tools/planted.ts', '../define-tool.ts'],
  ['src/tls/planted.ts', '../fleet/operations.ts'],
  ['src/tls/planted.ts', '../start-error.ts'],
  ['src/backup/planted.ts', '../db/snapshot.ts'],
  ['src/backup/planted.ts', '../../protocol/version.ts'],
  ['src/backup/planted.ts', '../data-dir.ts'],
  ['src/planted.ts', './mcp/http.ts'],
  ['agent/commands/planted.ts', '../../protocol/errors.ts'],
];

describe('the gate on imports between rooms', () => {
  let tree = '';

  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), 'tomo-arrows-'));
    copyFileSync(join(ROOT, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
    copyFileSync(join(ROOT, 'tsconfig.json'), join(tree, 'tsconfig.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  });
  afterAll(() => rmSync(tree, { recursive: true }));

  /** Lints one planted file and says whether the gate stopped it. */
  function stopped(file: string, specifier: string): boolean {
    const path = join(tree, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `export * as planted from '${specifier}';\n`);
    const oxlint = join(ROOT, 'node_modules', '.bin', 'oxlint');
    const { stdout, error } = spawnSync(oxlint, [file], { cwd: tree, encoding: 'utf8' });
    rmSync(path);
    if (error) throw error;
    expect(stdout).toContain('on 1 file');
    return stdout.includes('no-restricted-imports');
  }

  it.each(FORBIDDEN)('%s may not import %s', (file, specifier) => {
    expect(stopped(file, specifier)).toBe(true);
  });

  it.each(ALLOWED)('%s may import %s', (file, specifier) => {
    expect(stopped(file, specifier)).toBe(false);
  });
});
