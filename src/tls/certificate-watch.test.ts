import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { capturedLog } from '../../test/support/captured-log.ts';
import {
  fingerprintOf,
  type KeyPair,
  newServerCertificate,
  writeKeyPair,
} from '../../test/support/certificates.ts';
import { readCertificate } from './certificate.ts';
import { CertificateWatch } from './certificate-watch.ts';

const LOOK_MS = 1_000;
let first: KeyPair;
let second: KeyPair;
let directory = '';
let watch: CertificateWatch | undefined;

beforeAll(async () => {
  first = await newServerCertificate(['one.example']);
  second = await newServerCertificate(['two.example']);
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tomo-watch-'));
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});

afterEach(() => {
  watch?.[Symbol.dispose]();
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

function look(times = 1): void {
  vi.advanceTimersByTime(times * LOOK_MS);
}

/** Watches a directory with `cert.pem` and `key.pem`; collects what it tells. */
function start(at: string, onChange: (fingerprint: string) => void = () => undefined) {
  const files = { cert: join(at, 'cert.pem'), key: join(at, 'key.pem') };
  const { log, lines } = capturedLog();
  const told: string[] = [];
  watch = new CertificateWatch({
    files,
    certificate: readCertificate(files),
    log,
    onChange: ({ fingerprint }) => {
      onChange(fingerprint);
      told.push(fingerprint);
    },
  });
  return { files, told, lines };
}

describe('CertificateWatch', () => {
  it('tells once of a pair that was replaced', () => {
    writeKeyPair(directory, first);
    const { told, lines } = start(directory);
    look();
    expect(told).toEqual([]);
    writeKeyPair(directory, second);
    look(3);
    expect(told).toEqual([fingerprintOf(second)]);
    expect(lines).toEqual([]);
  });

  it('follows a link that is swapped at once for both files', () => {
    writeKeyPair(join(directory, 'old'), first);
    writeKeyPair(join(directory, 'new'), second);
    symlinkSync('old', join(directory, 'live'));
    const { told } = start(join(directory, 'live'));
    symlinkSync('new', join(directory, 'next'));
    renameSync(join(directory, 'next'), join(directory, 'live'));
    look();
    expect(told).toEqual([fingerprintOf(second)]);
  });

  it('waits for the other file of a pair, and says nothing if it comes soon', () => {
    const files = writeKeyPair(directory, first);
    const { told, lines } = start(directory);
    writeFileSync(files.cert, second.cert);
    look();
    expect(told).toEqual([]);
    writeFileSync(files.key, second.key);
    look(2);
    expect(told).toEqual([fingerprintOf(second)]);
    expect(lines).toEqual([]);
  });

  it('keeps the old one while the new one cannot be used, and says so once', () => {
    const files = writeKeyPair(directory, first);
    const { told, lines } = start(directory);
    writeFileSync(files.key, 'not a key');
    look(5);
    unlinkSync(files.key);
    look(5);
    expect(told).toEqual([]);
    expect(lines).toMatchObject([{ level: 50, cert: files.cert }]);
    writeKeyPair(directory, second);
    look();
    expect(told).toEqual([fingerprintOf(second)]);
  });

  it('is content with the old pair put back, and speaks up about the next fault', () => {
    const files = writeKeyPair(directory, first);
    const { told, lines } = start(directory);
    for (const _ of [1, 2]) {
      writeFileSync(files.cert, 'half a certif');
      look(3);
      writeFileSync(files.cert, first.cert);
      look();
    }
    expect(told).toEqual([]);
    expect(lines).toHaveLength(2);
  });

  it('offers again a pair that could not be taken', () => {
    writeKeyPair(directory, first);
    let isFirst = true;
    const { told } = start(directory, () => {
      if (!isFirst) return;
      isFirst = false;
      throw new Error('not now');
    });
    writeKeyPair(directory, second);
    look(2);
    expect(told).toEqual([fingerprintOf(second)]);
  });
});
