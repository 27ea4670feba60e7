interface Detail {
  readonly current?: number | undefined;
  readonly total?: number | undefined;
}

// Where a layer is, and how much further the figures of that status lead: it is fetched, then unpacked.
const PHASES = new Map<string, { readonly from: number; readonly span: number }>([
  ['Pulling fs layer', { from: 0, span: 0 }],
  ['Waiting', { from: 0, span: 0 }],
  ['Downloading', { from: 0, span: 0.5 }],
  ['Verifying Checksum', { from: 0.5, span: 0 }],
  ['Download complete', { from: 0.5, span: 0 }],
  ['Extracting', { from: 0.5, span: 0.5 }],
  ['Pull complete', { from: 1, span: 0 }],
]);
// Images have at most 127.
const LAYERS_MAX_COUNT = 1_000;

/**
 * How far the layers of an image are that the engine pulls. Those that exist already are none of them: they are
 * named first, and would be all there is to do.
 */
export class Layers {
  readonly #shares = new Map<string, number>();
  #fraction: number | undefined;

  /** The mean of all layers, 0 to 1; never goes back. Undefined as long as there is none. */
  get fraction(): number | undefined {
    return this.#fraction;
  }

  note(id: string, status: string, { current, total }: Detail = {}): void {
    const phase = PHASES.get(status);
    // The engine's lines about the image itself have an id, too.
    if (phase === undefined) return;
    if (this.#shares.size >= LAYERS_MAX_COUNT && !this.#shares.has(id)) return;
    const part = current !== undefined && total ? Math.min(1, current / total) : 0;
    this.#shares.set(id, Math.max(this.#shares.get(id) ?? 0, phase.from + phase.span * part));
    let sum = 0;
    for (const share of this.#shares.values()) sum += share;
    this.#fraction = Math.max(this.#fraction ?? 0, sum / this.#shares.size);
  }
}
