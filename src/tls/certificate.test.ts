import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newServerCertificate, writeKeyPair } from '../../test/support/certificates.ts';
import { type CertificateFiles, readCertificate } from './certificate.ts';

let directory = '';
let files: CertificateFiles = { cert: '', key: '' };

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tomo-certificate-'));
  files = writeKeyPair(directory, await newServerCertificate(['localhost']));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('what cannot be read as a certificate with its key is told in plain words:', () => {
  it('a file that is not there', () => {
    const none = join(directory, 'none.pem');
    for (const pair of [
      { ...files, cert: none },
      { ...files, key: none },
    ]) {
      expect(() => readCertificate(pair)).toThrow(new Error(`there is no file ${none}`));
    }
  });

  it('a directory', () => {
    const dir = join(directory, 'dir.pem');
    mkdirSync(dir);
    expect(() => readCertificate({ ...files, cert: dir })).toThrow(`${dir} cannot be read`);
  });

  it('the two files taken for each other', () => {
    const swapped = { cert: files.key, key: files.cert };
    expect(() => readCertificate(swapped)).toThrow(`${files.key} holds no certificate`);
    expect(() => readCertificate({ ...files, key: files.cert })).toThrow(
      `${files.cert} holds no private key`,
    );
  });

  it('the key of another certificate', async () => {
    const other = join(directory, 'other');
    const { key } = writeKeyPair(other, await newServerCertificate(['localhost']));
    expect(() => readCertificate({ ...files, key })).toThrow(
      `the key in ${key} is not that of the certificate in ${files.cert}`,
    );
  });

  it('a chain that is damaged after its first certificate', () => {
    const begin = '-----BEGIN CERTIFICATE-----';
    writeFileSync(files.cert, `${readFileSync(files.cert, 'utf8')}\n${begin}\nAAAA\n`);
    expect(() => readCertificate(files)).toThrow(`${files.cert} holds no certificate chain`);
  });
});
