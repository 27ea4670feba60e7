import type { LogMessage } from './log-messages.ts';

/** How the engine keeps a container's log, as its inspect answer says. */
export interface LogConfig {
  readonly Type: string;
  readonly Config: Readonly<Record<string, string>>;
}

const LOCAL_FILE_BYTES = 20_000_000;
const SIZE = /^(\d+(?:\.\d+)?)([kmg]?)b?$/i;
const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

/** The size at which the engine begins another file for the log; undefined if it never does. */
export function rotatesAtBytes({ Type, Config }: LogConfig): number | undefined {
  if (Type !== 'json-file' && Type !== 'local') return undefined;
  const [, amount, unit = ''] = SIZE.exec(Config['max-size'] ?? '') ?? [];
  if (amount !== undefined) return Number(amount) * (UNIT_BYTES[unit.toLowerCase()] ?? 1);
  return Type === 'local' ? LOCAL_FILE_BYTES : undefined;
}

const WINDOW_MS = 500;
const SPAN_MIN_MS = 5;
// The engine loses a file if it is one behind; what is between its file and here is some of that.
const SHARE_MAX = 0.25;
// No engine fills a file faster than so, nor is a shorter time worth to be looked at.
const FILE_BYTES_PER_MS = 200_000;
const FILE_MIN_MS = 50;
// Less than this is on its way between engine and reader before the engine has to wait.
const UNDERWAY_MIN_BYTES = 64 * 1024;

type Stamped = Pick<LogMessage, 'nanos'>;

/**
 * Tells when the reader of a followed log is so far behind its writer that the engine could rotate
 * away, or has, what it has not sent yet: it then goes on with its newest file and says nothing.
 */
export class LogPace {
  readonly #backlogMaxBytes: number;
  readonly #fileMs: number;
  #windowStartMs: number | undefined;
  #windowBytes = 0;
  #cameMs = 0;
  /** What came since nothing has come in time. */
  #lateBytes = 0;
  #before: { readonly writtenMs: number; readonly cameMs: number } | undefined;

  constructor(rotatesAt: number) {
    this.#backlogMaxBytes = rotatesAt * SHARE_MAX;
    this.#fileMs = Math.max(FILE_MIN_MS, rotatesAt / FILE_BYTES_PER_MS);
  }

  /** What follows has come now. */
  came(): void {
    this.#cameMs = Date.now();
  }

  /**
   * Whether a whole file can be missing before this message: the engine had to wait, this message had
   * long been written when the one before it came, and there was time for a file between the two.
   */
  mayHaveSkipped({ nanos }: Stamped): boolean {
    const writtenMs = toMs(nanos);
    const before = this.#before;
    this.#before = { writtenMs, cameMs: this.#cameMs };
    if (before === undefined || this.#lateBytes < UNDERWAY_MIN_BYTES) return false;
    if (writtenMs - before.writtenMs < this.#fileMs) return false;
    return before.cameMs >= writtenMs - this.#fileMs / 2;
  }

  /** Takes so many bytes, the last of them written then; answers whether that is too far behind. */
  take(bytes: number, { nanos }: Stamped): boolean {
    const writtenMs = toMs(nanos);
    const lateMs = Date.now() - writtenMs;
    this.#lateBytes = lateMs < this.#fileMs ? 0 : this.#lateBytes + bytes;
    if (this.#windowStartMs === undefined) {
      this.#windowStartMs = writtenMs;
      return false;
    }
    this.#windowBytes += bytes;
    const spanMs = Math.max(SPAN_MIN_MS, writtenMs - this.#windowStartMs);
    const backlogBytes = (this.#windowBytes / spanMs) * lateMs;
    if (spanMs > WINDOW_MS) {
      this.#windowStartMs = writtenMs;
      this.#windowBytes = 0;
    }
    return backlogBytes > this.#backlogMaxBytes;
  }
}

function toMs(nanos: bigint): number {
  return Number(nanos / 1_000_000n);
}
