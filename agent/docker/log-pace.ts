import { engineTimeNanos } from './engine-time.ts';

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

/**
 * Tells when the reader of a followed log is so far behind its writer that the engine could rotate
 * away what it has not sent yet: it then goes on with its newest file and says nothing.
 */
export class LogPace {
  readonly #backlogMaxBytes: number;
  #windowStartMs: number | undefined;
  #windowBytes = 0;

  constructor(rotatesAt: number) {
    this.#backlogMaxBytes = rotatesAt * SHARE_MAX;
  }

  /** Takes so many bytes, the last of them written at `time`; answers whether that is too far behind. */
  take(bytes: number, time: string): boolean {
    const writtenMs = Number(engineTimeNanos(time) / 1_000_000n);
    if (this.#windowStartMs === undefined) {
      this.#windowStartMs = writtenMs;
      return false;
    }
    this.#windowBytes += bytes;
    const spanMs = Math.max(SPAN_MIN_MS, writtenMs - this.#windowStartMs);
    const backlogBytes = (this.#windowBytes / spanMs) * (Date.now() - writtenMs);
    if (spanMs > WINDOW_MS) {
      this.#windowStartMs = writtenMs;
      this.#windowBytes = 0;
    }
    return backlogBytes > this.#backlogMaxBytes;
  }
}
