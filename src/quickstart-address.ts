import type { OwnerInfo } from './fleet/operations.ts';
import { isFor, isSelfSigned, readCertificate } from './tls/certificate.ts';
import { selfSignedFiles } from './tls/self-signed.ts';

/** The base URL for clients on this machine, and the certificate that they have to be told of. */
export function guideAddress(
  dataDir: string,
  { url, serving }: Pick<OwnerInfo, 'url' | 'serving'>,
): { url: string; caFile: string | undefined } {
  const { tlsCert, tlsKey, tlsSelfSigned, publicUrl } = serving;
  if (tlsSelfSigned) return { url, caFile: selfSignedFiles(dataDir).cert };
  if (tlsCert === undefined || tlsKey === undefined) return { url, caFile: undefined };
  const certificate = readCertificate({ cert: tlsCert, key: tlsKey });
  return {
    // A certificate of the user’s names the server as others know it, not this machine’s loopback.
    url: isFor(certificate, url) || publicUrl === undefined ? url : publicUrl.replace(/\/+$/, ''),
    caFile: isSelfSigned(certificate) ? tlsCert : undefined,
  };
}
