import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { generate } from 'selfsigned';
import { plainFingerprint } from '../../protocol/hub-address.ts';

const DAY_MS = 86_400_000;

/** A certificate with its key, in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority of the test's own. */
export async function newAuthority(): Promise<KeyPair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'Test CA' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { cert, key };
}

/** A server's certificate for these names and addresses; self-signed without an authority. */
export async function newServerCertificate(
  names: readonly string[],
  { authority, notAfter }: { authority?: KeyPair; notAfter?: Date } = {},
): Promise<KeyPair> {
  const altNames = names.map((name) =>
    isIP(name) === 0 ? ({ type: 2, value: name } as const) : ({ type: 7, ip: name } as const),
  );
  const { cert, private: key } = await generate([{ name: 'commonName', value: names[0] ?? '' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 2 * DAY_MS),
    notAfterDate: notAfter ?? new Date(Date.now() + DAY_MS),
    extensions: [
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
    ...(authority === undefined ? {} : { ca: authority }),
  });
  return { cert, key };
}

/** Puts both into a directory, as `cert.pem` and `key.pem`. */
export function writeKeyPair(directory: string, pair: KeyPair): { cert: string; key: string } {
  mkdirSync(directory, { recursive: true });
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  writeFileSync(files.cert, pair.cert);
  writeFileSync(files.key, pair.key);
  return files;
}

/** SHA-256 of the certificate, in plain hexadecimal. */
export function fingerprintOf({ cert }: Pick<KeyPair, 'cert'>): string {
  return plainFingerprint(new X509Certificate(cert).fingerprint256);
}

/** The fingerprint of what a new connection to a loopback port is shown. */
export async function shownFingerprint({ port }: { readonly port: number }): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return plainFingerprint(fingerprint256);
}
