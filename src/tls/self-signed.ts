import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { SubjectAltNameEntry } from 'selfsigned';
import { StartError } from '../start-error.ts';
import { type Certificate, type CertificateFiles, readCertificate } from './certificate.ts';

const DIRECTORY = 'tls';
/** Agents are held to this very certificate, so its end would part them from Tomo. */
const VALID_YEARS = 50;
/** A clock that is behind this one by less takes the certificate at once. */
const VALID_BEFORE_MS = 24 * 60 * 60 * 1_000;

/** Where Tomo keeps the certificate that it made for a data directory. */
export function selfSignedFiles(dataDir: string): CertificateFiles {
  const directory = join(dataDir, DIRECTORY);
  return { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
}

/**
 * The certificate of the data directory, made once for these host names and addresses and kept: agents
 * are pinned to it. Throws StartError (exit 1) if what is there cannot be used.
 */
export async function selfSignedCertificate(
  dataDir: string,
  names: readonly string[],
): Promise<Certificate> {
  const files = selfSignedFiles(dataDir);
  if (!existsSync(files.cert) && !existsSync(files.key)) await make(dataDir, names);
  try {
    const certificate = readCertificate(files);
    if (certificate.leaf.validToDate.getTime() < Date.now()) throw new Error('it has expired');
    return certificate;
  } catch (error) {
    throw new StartError(
      `tomo: ${files.cert} and ${files.key} cannot be used: ${error instanceof Error ? error.message : String(error)}; restore them from a backup, or remove the directory ${join(dataDir, DIRECTORY)} for a new certificate, after which agents have to be installed again`,
      1,
      error,
    );
  }
}

/** Written aside and renamed as a whole, so that there is never one file without the other. */
async function make(dataDir: string, names: readonly string[]): Promise<void> {
  const directory = join(dataDir, DIRECTORY);
  const fresh = `${directory}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const { cert, private: key } = await newCertificate(names);
  try {
    mkdirSync(fresh, { mode: 0o700 });
    for (const [name, text] of Object.entries({ 'cert.pem': cert, 'key.pem': key })) {
      writeFileSync(join(fresh, name), text, { mode: 0o600, flush: true });
    }
    renameSync(fresh, directory);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    throw new StartError(
      `tomo: no certificate can be kept in ${directory}: ${String(error)}; see to its permissions and free space`,
      1,
      error,
    );
  }
}

async function newCertificate(
  names: readonly string[],
): Promise<{ cert: string; private: string }> {
  // Needed once in the life of a data directory.
  const { generate } = await import('selfsigned');
  const now = Date.now();
  const end = new Date(now);
  end.setFullYear(end.getFullYear() + VALID_YEARS);
  return generate([{ name: 'commonName', value: 'Tomo' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - VALID_BEFORE_MS),
    notAfterDate: end,
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [...new Set(names)].map(altName) },
    ],
  });
}

function altName(name: string): SubjectAltNameEntry {
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  return isIP(bare) === 0 ? { type: 2, value: bare } : { type: 7, ip: bare };
}
