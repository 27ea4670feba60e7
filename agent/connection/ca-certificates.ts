import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfigurationError } from '../config.ts';

const PEM = /-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs;
const PEM_START = '-----BEGIN ';

/**
 * The certificates of a CA_CERT value: PEM text, in which "\n" may stand for a line's end, or the path
 * of a file of it. Throws ConfigurationError.
 */
export function readCaCertificates(value: string): readonly string[] {
  const text = value.includes(PEM_START) ? value.replaceAll(String.raw`\n`, '\n') : read(value);
  const certificates = text.match(PEM) ?? [];
  if (certificates.length === 0) throw refused('holds no "-----BEGIN CERTIFICATE-----" block');
  for (const certificate of certificates) {
    try {
      void new X509Certificate(certificate);
    } catch (error) {
      throw refused('holds a block that is no certificate', error);
    }
  }
  return certificates;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw refused(
      `cannot be read (${error instanceof Error ? error.message : String(error)})`,
      error,
    );
  }
}

function refused(why: string, cause?: unknown): ConfigurationError {
  const message = `CA_CERT: ${why}; it must be the path of a PEM file, or PEM text`;
  return new ConfigurationError(message, { cause });
}
