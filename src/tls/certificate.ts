import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { plainFingerprint } from '../../protocol/hub-address.ts';
import { hasCode } from '../file-error.ts';

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

/**
 * Reads both files. Throws if either cannot be read or used, or they do not belong together; the message
 * says which, for a person.
 */
export function readCertificate(files: CertificateFiles): Certificate {
  const cert = read(files.cert);
  const key = read(files.key);
  const leaf = used(files.cert, 'certificate', () => new X509Certificate(cert));
  const privateKey = used(files.key, 'private key', () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new Error(`the key in ${files.key} is not that of the certificate in ${files.cert}`);
  }
  // The rest of a chain is looked at here only.
  used(files.cert, 'certificate chain', () => createSecureContext({ cert, key }));
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

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) throw new Error(`there is no file ${file}`, { cause });
    throw new Error(`${file} cannot be read, or is no file`, { cause });
  }
}

function used<T>(file: string, what: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw new Error(`${file} holds no ${what} that can be used`, { cause });
  }
}
