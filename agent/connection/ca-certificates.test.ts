import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newServerCertificate } from '../../test/support/certificates.ts';
import { readCaCertificates } from './ca-certificates.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-ca-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('readCaCertificates', () => {
  it('takes PEM text, also on one line, and a file of several', async () => {
    const [one, two] = [
      (await newServerCertificate(['a'])).cert.trim(),
      (await newServerCertificate(['a'])).cert.trim(),
    ];
    expect(readCaCertificates(one)).toEqual([one]);
    const onOneLine = one.replaceAll('\r', '').replaceAll('\n', String.raw`\n`);
    expect(readCaCertificates(onOneLine)).toEqual([one.replaceAll('\r', '')]);
    const file = path.join(directory, 'ca.pem');
    await writeFile(file, `# our CAs\n${one}\n${two}\n`);
    expect(readCaCertificates(file)).toEqual([one, two]);
  });

  it('refuses in one line what holds no certificate', async () => {
    const { key } = await newServerCertificate(['a']);
    const empty = path.join(directory, 'empty.pem');
    await writeFile(empty, '');
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    for (const value of [path.join(directory, 'none'), directory, empty, key, broken]) {
      const read = () => readCaCertificates(value);
      expect(read).toThrow(/^CA_CERT: .*PEM text$/);
      expect(read).not.toThrow('PRIVATE KEY');
    }
  });
});
