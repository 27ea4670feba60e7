import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Serving } from '../fleet/operations.ts';
import { StartError } from '../start-error.ts';
import { type Certificate, type CertificateFiles, isFor, readCertificate } from './certificate.ts';
import { selfSignedCertificate, selfSignedFiles } from './self-signed.ts';

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '::1'];

/** What a server with TLS starts with. */
export interface ServerCertificate {
  readonly files: CertificateFiles;
  readonly certificate: Certificate;
}

/**
 * The certificate to serve with; undefined for a server without TLS. Throws StartError (exit 1) if it
 * cannot be used.
 */
export async function serverCertificate(
  dataDir: string,
  serving: Serving,
  log: Logger,
): Promise<ServerCertificate | undefined> {
  const { tlsCert, tlsKey, tlsSelfSigned } = serving;
  if (tlsSelfSigned) {
    const certificate = await selfSignedCertificate(dataDir, namesOf(serving));
    warnOfUnknownName(certificate, serving, log);
    return { files: selfSignedFiles(dataDir), certificate };
  }
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const files = { cert: tlsCert, key: tlsKey };
  try {
    return { files, certificate: readCertificate(files) };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new StartError(
      `tomo: --tls-cert and --tls-key cannot be used: ${cause}; give the PEM files of a certificate and of its key, or --tls-self-signed`,
      1,
      error,
    );
  }
}

/** Under which names and addresses the server will be called. */
function namesOf({ host, publicUrl }: Serving): string[] {
  const names = [...LOOPBACK_NAMES, hostname(), host];
  if (publicUrl !== undefined) names.push(new URL(publicUrl).hostname);
  // An address of all interfaces is nobody's.
  return names.filter((name) => name !== '0.0.0.0' && name !== '::');
}

/** It is kept for the agents’ sake when the address changes; MCP clients look at its names. */
function warnOfUnknownName(certificate: Certificate, { publicUrl }: Serving, log: Logger): void {
  if (publicUrl === undefined || isFor(certificate, publicUrl)) return;
  log.warn(
    { public_url: publicUrl, names: certificate.leaf.subjectAltName },
    'the self-signed certificate was made before for other names: agents take it, MCP clients may not',
  );
}
