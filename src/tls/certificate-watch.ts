import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { type Certificate, type CertificateFiles, readCertificate } from './certificate.ts';

/** How often the files are looked at: watching for events misses swapped links and network disks. */
const LOOK_MS = 1_000;

interface WatchOptions {
  readonly files: CertificateFiles;
  /** The one in force. */
  readonly certificate: Certificate;
  readonly log: Logger;
  /** Called with each new pair that can be used. */
  readonly onChange: (certificate: Certificate) => void;
}

/**
 * Tells of a certificate that was replaced on disk. Whoever replaces it writes two files one after the
 * other: until both fit, the one in force stays.
 */
export class CertificateWatch implements Disposable {
  readonly #options: WatchOptions;
  readonly #timer: NodeJS.Timeout;
  #inForce: Certificate;
  /** What could not be used when it was last looked at, and whether that was said. */
  #unusable: string | undefined;
  #said = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#inForce = options.certificate;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { files, onChange } = this.#options;
    try {
      if (this.#isUnchanged()) return this.#settled();
      const certificate = readCertificate(files);
      onChange(certificate);
      this.#inForce = certificate;
      this.#settled();
    } catch (error) {
      this.#keepOld(error);
    }
  }

  #isUnchanged(): boolean {
    const { files } = this.#options;
    const { cert, key } = this.#inForce;
    return readFileSync(files.cert, 'utf8') === cert && readFileSync(files.key, 'utf8') === key;
  }

  #settled(): void {
    this.#unusable = undefined;
    this.#said = false;
  }

  /** Said once, and not before a second look at the same: the other file may be on its way. */
  #keepOld(error: unknown): void {
    const { files, log } = this.#options;
    const cause = String(error);
    if (this.#unusable === cause && !this.#said) {
      this.#said = true;
      log.error(
        { err: error, ...files },
        'the new TLS certificate cannot be used; the old one stays',
      );
    }
    this.#unusable = cause;
  }
}
