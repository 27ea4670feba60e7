import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { plainFingerprint } from '../../protocol/hub-address.ts';

/** Where a certificate (chain, the server's own first) and its key are, as PEM files. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate with its key, as they stood in the files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly leaf: X509Certificate;
  /** SHA-256 of the leaf, in plain hexadecimal. */
  readonly fingerprint: string;
}

/** Reads both files. Throws if either cannot be read or used, or they do not belong together. */
export function readCertificate(files: CertificateFiles): Certificate {
  const cert = readFileSync(files.cert, 'utf8');
  const key = readFileSync(files.key, 'utf8');
  const leaf = new X509Certificate(cert);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) {
    throw new Error('the key is not that of the certificate');
  }
  // The rest of a chain is looked at here only.
  createSecureContext({ cert, key });
  return { cert, key, leaf, fingerprint: plainFingerprint(leaf.fingerprint256) };
}

/** Whether it vouches for itself, so that clients have to be told of it. */
export function isSelfSigned({ leaf }: Pick<Certificate, 'leaf'>): boolean {
  return leaf.verify(leaf.publicKey);
}

/** Whether it is for the host of that URL. */
export function isFor({ leaf }: Pick<Certificate, 'leaf'>, url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
  const found = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
  return found !== undefined;
}
