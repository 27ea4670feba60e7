/** The short number unless TOMO_TEST_SIZE is `full`. */
export function sized<T>({ short, full }: { readonly short: T; readonly full: T }): T {
  return process.env['TOMO_TEST_SIZE'] === 'full' ? full : short;
}

/** The same in every run unless TOMO_TEST_SEED says otherwise. */
export function testSeed(): number {
  return Number(process.env['TOMO_TEST_SEED'] ?? 20_261_120);
}

/** Numbers from 0 up to 1 that follow from the seed alone (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A figure for whoever reads the run's output. */
export function report(figure: string): void {
  process.stdout.write(`measured: ${figure}\n`);
}
