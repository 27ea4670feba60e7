import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newServerCertificate, writeKeyPair } from '../../test/support/certificates.ts';
import { isSelfSigned } from './certificate.ts';
import { selfSignedCertificate, selfSignedFiles } from './self-signed.ts';

const YEAR_MS = 365 * 24 * 60 * 60 * 1_000;
let dataDir = '';

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'tomo-tls-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

describe('the certificate of a data directory', () => {
  it('is made for the given names and addresses, for decades, in files for the user alone', async () => {
    const names = ['localhost', '127.0.0.1', '::1', '[fe80::1]', 'tomo.example', 'localhost'];
    const { leaf, fingerprint } = await selfSignedCertificate(dataDir, names);
    for (const name of ['localhost', 'tomo.example']) expect(leaf.checkHost(name)).toBe(name);
    for (const address of ['127.0.0.1', '::1', 'fe80::1']) {
      expect(leaf.checkIP(address)).toBeDefined();
    }
    expect(leaf.validToDate.getTime()).toBeGreaterThan(Date.now() + 30 * YEAR_MS);
    expect(isSelfSigned({ leaf })).toBe(true);
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    const { cert, key } = selfSignedFiles(dataDir);
    for (const file of [cert, key]) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, 'tls')).mode & 0o777).toBe(0o700);
  });

  it('stays the same when the server is called by another name', async () => {
    const first = await selfSignedCertificate(dataDir, ['localhost']);
    const second = await selfSignedCertificate(dataDir, ['localhost', 'new.example']);
    expect(second.fingerprint).toBe(first.fingerprint);
  });

  it('is not made anew when one of its files is damaged or missing: agents are held to it', async () => {
    await selfSignedCertificate(dataDir, ['localhost']);
    const { cert, key } = selfSignedFiles(dataDir);
    const kept = readFileSync(cert, 'utf8');
    writeFileSync(key, 'not a key');
    await expect(selfSignedCertificate(dataDir, [])).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/restore them from a backup/),
    });
    rmSync(key);
    await expect(selfSignedCertificate(dataDir, [])).rejects.toMatchObject({ exitCode: 1 });
    expect(readFileSync(cert, 'utf8')).toBe(kept);
  });

  it('is refused with a key that is not its own, and when it has expired', async () => {
    const [one, other] = [await newServerCertificate(['a']), await newServerCertificate(['b'])];
    writeKeyPair(join(dataDir, 'tls'), { cert: one.cert, key: other.key });
    await expect(selfSignedCertificate(dataDir, [])).rejects.toMatchObject({ exitCode: 1 });
    const notAfter = new Date(Date.now() - 1_000);
    writeKeyPair(join(dataDir, 'tls'), await newServerCertificate(['a'], { notAfter }));
    await expect(selfSignedCertificate(dataDir, [])).rejects.toThrow(/expired/);
  });

  it('names the directory that it cannot be kept in, and leaves nothing beside it', async () => {
    writeFileSync(join(dataDir, 'tls'), 'a file in its place');
    await expect(selfSignedCertificate(dataDir, ['localhost'])).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringContaining(join(dataDir, 'tls')),
    });
    expect(readFileSync(join(dataDir, 'tls'), 'utf8')).toContain('in its place');
  });
});
