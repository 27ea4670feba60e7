import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

// The kernel counts in hundredths of a second: a shorter span says little.
const SPAN_MIN_MS = 250;

interface Reading {
  readonly busy: number;
  readonly total: number;
}

/** Share of all processors in use between two measurements; the first counts from construction. */
export class CpuLoad {
  #reading = read();
  #readAtMs = performance.now();
  #percent: number | undefined;

  /** 0 to 100. A call soon after another gets the same answer. */
  async measure(signal: AbortSignal): Promise<number> {
    if (this.#percent === undefined) {
      await delay(Math.max(0, SPAN_MIN_MS - this.#ageMs()), undefined, { signal });
    }
    if (this.#percent === undefined || this.#ageMs() >= SPAN_MIN_MS) this.#advance();
    return this.#percent ?? 0;
  }

  #ageMs(): number {
    return performance.now() - this.#readAtMs;
  }

  #advance(): void {
    const reading = read();
    const total = reading.total - this.#reading.total;
    const busy = reading.busy - this.#reading.busy;
    this.#reading = reading;
    this.#readAtMs = performance.now();
    // Counters go backwards when a processor is taken away.
    this.#percent = total > 0 ? clamp((busy / total) * 100) : 0;
  }
}

function read(): Reading {
  let busy = 0;
  let idle = 0;
  for (const { times } of os.cpus()) {
    busy += times.user + times.nice + times.sys + times.irq;
    idle += times.idle;
  }
  return { busy, total: busy + idle };
}

function clamp(percent: number): number {
  return Math.min(100, Math.max(0, Math.round(percent * 10) / 10));
}
