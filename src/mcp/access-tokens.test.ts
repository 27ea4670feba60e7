import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MCP_TOKENS_MAX_COUNT } from '../../protocol/limits.ts';
import { temporaryDirectory } from '../../test/support/temporary-database.ts';
import { AccessTokens, addToken, listTokens, removeToken } from './access-tokens.ts';
import { tokenHash } from './bearer-token.ts';

const MAIN = 'm'.repeat(43);

function setUp() {
  const dataDir = temporaryDirectory();
  const tokens = new AccessTokens(dataDir, tokenHash(MAIN));
  return {
    dataDir,
    dir: join(dataDir, 'tokens'),
    match: (token: string) => tokens.match(`Bearer ${token}`),
    tokens,
  };
}

describe('named tokens', () => {
  it('hold in a running server from the moment they are added until they are removed', async () => {
    const { dataDir, match } = setUp();
    for (let round = 0; round < 20; round += 1) {
      const token = await addToken(dataDir, 'ci', 'operate');
      expect(match(token)).toEqual({ actor: 'token:ci', access: 'operate' });
      expect(await removeToken(dataDir, 'ci')).toBe(true);
      expect(match(token)).toBeUndefined();
    }
  });

  it('leave the token of the data directory what it was, with or without any of them', async () => {
    const { dataDir, match } = setUp();
    expect(match(MAIN)).toEqual({ actor: 'http', access: 'admin' });
    await addToken(dataDir, 'ci', 'read');
    expect(match(MAIN)).toEqual({ actor: 'http', access: 'admin' });
  });

  it('are read again only when their directory has changed', async () => {
    const { dataDir, dir, match } = setUp();
    const token = await addToken(dataDir, 'ci', 'read');
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(dir, longAgo, longAgo);
    expect(match(token)).toMatchObject({ access: 'read' });
    const file = join(dir, 'ci.json');
    // In place, which leaves the directory's time as it is.
    writeFileSync(file, readFileSync(file, 'utf8').replace('read', 'admin'));
    expect(match(token)).toMatchObject({ access: 'read' });
    const other = await addToken(dataDir, 'other', 'operate');
    expect(match(other)).toMatchObject({ actor: 'token:other' });
    expect(match(token)).toMatchObject({ access: 'admin' });
  });

  it('are listed by name, without the tokens', async () => {
    const { dataDir } = setUp();
    expect(await listTokens(dataDir)).toEqual([]);
    await addToken(dataDir, 'web', 'read');
    await addToken(dataDir, 'a.b-c_1', 'admin');
    const createdAt = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(await listTokens(dataDir)).toEqual([
      { name: 'a.b-c_1', access: 'admin', createdAt },
      { name: 'web', access: 'read', createdAt },
    ]);
  });

  it('are kept as hashes, in files for their owner alone', async () => {
    const { dataDir, dir } = setUp();
    const token = await addToken(dataDir, 'ci', 'read');
    expect(readdirSync(dir)).toEqual(['ci.json']);
    expect(readFileSync(join(dir, 'ci.json'), 'utf8')).not.toContain(token);
    expect(statSync(join(dir, 'ci.json')).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it('are not replaced by another of the same name', async () => {
    const { dataDir, dir, match } = setUp();
    const added = await Promise.allSettled(
      Array.from({ length: 8 }, () => addToken(dataDir, 'ci', 'read')),
    );
    const good = added.filter((result) => result.status === 'fulfilled');
    expect(good).toHaveLength(1);
    expect(match(String(good[0]?.value))).toBeDefined();
    for (const result of added) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ name: 'CONFLICT' });
    }
    expect(readdirSync(dir)).toEqual(['ci.json']);
  });

  it.each(['', '.', '..', '../x', 'a/b', 'A', '-a', 'a\0', 'x'.repeat(64)])(
    'refuse the name %j',
    async (name) => {
      const { dataDir } = setUp();
      const refusal = { name: 'INVALID_PARAMS' };
      await expect(addToken(dataDir, name, 'read')).rejects.toMatchObject(refusal);
      await expect(removeToken(dataDir, name)).rejects.toMatchObject(refusal);
    },
  );

  it('are limited in number', async () => {
    const { dataDir, dir } = setUp();
    mkdirSync(dir);
    for (let n = 0; n < MCP_TOKENS_MAX_COUNT; n += 1) writeFileSync(join(dir, `t${n}.json`), '');
    await expect(addToken(dataDir, 'more', 'read')).rejects.toMatchObject({
      name: 'LIMIT_REACHED',
    });
  });

  it('that are damaged let nobody in, and leave the others as they are', async () => {
    const { dataDir, dir, match, tokens } = setUp();
    const token = await addToken(dataDir, 'ci', 'read');
    writeFileSync(join(dir, 'cut.json'), '{"access":"adm');
    writeFileSync(join(dir, 'empty.json'), '');
    writeFileSync(join(dir, 'odd.json'), '{"access":"admin","sha256":"","created_at":""}');
    writeFileSync(join(dir, 'notes.txt'), 'x');
    expect(match(token)).toBeDefined();
    expect(await listTokens(dataDir)).toMatchObject([{ name: 'ci' }]);
    for (const header of [undefined, '', 'Bearer', 'Bearer ', `Basic ${token}`, token]) {
      expect(tokens.match(header)).toBeUndefined();
    }
    expect(match('')).toBeUndefined();
  });
});

it('there is nothing to remove of a name that is not taken', async () => {
  const { dataDir } = setUp();
  expect(await removeToken(dataDir, 'ci')).toBe(false);
});

it('says so when the tokens cannot be read, instead of taking them for none', async () => {
  const { dataDir, dir, match } = setUp();
  writeFileSync(dir, 'a file in the way');
  expect(() => match('x'.repeat(43))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
  const refusal = { code: 'ENOTDIR' };
  await expect(listTokens(dataDir)).rejects.toMatchObject(refusal);
  await expect(removeToken(dataDir, 'ci')).rejects.toMatchObject(refusal);
  await expect(addToken(dataDir, 'ci', 'read')).rejects.toMatchObject({ code: 'EEXIST' });
});

it('says so when a token file cannot be read', async () => {
  const { dataDir, dir, match } = setUp();
  mkdirSync(join(dir, 'ci.json'), { recursive: true });
  expect(() => match('x'.repeat(43))).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  await expect(listTokens(dataDir)).rejects.toMatchObject({ code: 'EISDIR' });
});
