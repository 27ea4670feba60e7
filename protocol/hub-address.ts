import { z } from 'zod';

const FINGERPRINT = /^(?:sha256[:=])?[0-9a-f]{2}(?::?[0-9a-f]{2}){31}$/i;
const URL_MAX_CHARS = 2_048;

/** The whole URL an agent dials: ws:// or wss://, without a fragment. */
export const hubUrlSchema = z
  .url({ protocol: /^wss?$/, error: 'must be a whole ws:// or wss:// URL' })
  .max(URL_MAX_CHARS)
  .refine((url) => !url.includes('#'), 'must be a ws:// or wss:// URL without "#"');

/** SHA-256 of a server's certificate in DER form, in hexadecimal; also as OpenSSL prints it. */
export const fingerprintSchema = z
  .string()
  .regex(FINGERPRINT, 'a SHA-256 fingerprint: 64 hexadecimal digits');

/** The same text for every spelling of a fingerprint: 64 lower-case digits. */
export function plainFingerprint(text: string): string {
  return text
    .toLowerCase()
    .replace(/^sha256[:=]/, '')
    .replaceAll(':', '');
}
