import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type KeyPair,
  newAuthority,
  newServerCertificate,
  writeKeyPair,
} from '../test/support/certificates.ts';
import type { Serving } from './fleet/operations.ts';
import { guideAddress } from './quickstart-address.ts';

const PUBLIC_URL = 'https://tomo.example/tomo/';
let directory = '';
let authority: KeyPair;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tomo-guide-'));
  authority = await newAuthority();
});
afterAll(() => rmSync(directory, { recursive: true }));

function addressOf(serving: Partial<Serving>, url = 'https://127.0.0.1:8000') {
  const base = { host: '127.0.0.1', port: 8000, tlsSelfSigned: false, trustedProxies: [] };
  const rest = { readOnly: false, tokenHash: '' };
  return guideAddress('/data', { url, serving: { ...base, ...rest, ...serving } });
}

async function withCertificate(
  names: readonly string[],
  options: Parameters<typeof newServerCertificate>[1] = {},
): Promise<Pick<Serving, 'tlsCert' | 'tlsKey'> & { tlsCert: string }> {
  const files = writeKeyPair(directory, await newServerCertificate(names, options));
  return { tlsCert: files.cert, tlsKey: files.key };
}

describe('what the quickstart tells clients to call', () => {
  it('is where it listens, without TLS', () => {
    const url = 'http://127.0.0.1:8000';
    expect(addressOf({ publicUrl: PUBLIC_URL }, url)).toEqual({ url, caFile: undefined });
  });

  it('is where it listens, with the file of Tomo’s own certificate', () => {
    expect(addressOf({ tlsSelfSigned: true })).toEqual({
      url: 'https://127.0.0.1:8000',
      caFile: join('/data', 'tls', 'cert.pem'),
    });
  });

  it('is the public URL if the certificate names that and not this machine', async () => {
    const tls = await withCertificate(['tomo.example'], { authority });
    expect(addressOf({ ...tls, publicUrl: PUBLIC_URL })).toEqual({
      url: 'https://tomo.example/tomo',
      caFile: undefined,
    });
    expect(addressOf(tls).url).toBe('https://127.0.0.1:8000');
  });

  it('is where it listens if the certificate names that, with its file if it vouches for itself', async () => {
    const tls = await withCertificate(['127.0.0.1', '::1']);
    for (const url of ['https://127.0.0.1:8000', 'https://[::1]:8000']) {
      const told = addressOf({ ...tls, publicUrl: PUBLIC_URL }, url);
      expect(told).toEqual({ url, caFile: tls.tlsCert });
    }
  });
});
