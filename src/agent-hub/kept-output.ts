import type { OutputPage, OutputPart } from './output-page.ts';

/** What a chunk takes beside its text. */
const CHUNK_BYTES = 64;
/** How long a chunk may grow by what follows on the same stream: single bytes take no chunk each. */
const JOINED_MAX_BYTES = 512;

interface Chunk extends OutputPart {
  readonly at: number;
  readonly bytes: number;
}

/** What is kept of one command's output: pieces at their places, with gaps where some were dropped. */
export class KeptOutput {
  #chunks: Chunk[] = [];
  #size = 0;
  #end: number | undefined;

  /** `end` is where output goes on; undefined if that is where the first piece will be. */
  constructor(end: number | undefined) {
    this.#end = end;
  }

  /** Bytes of memory, about. */
  get size(): number {
    return this.#size;
  }

  /** The end of all that has come; undefined as long as that is not known. */
  get end(): number | undefined {
    return this.#end;
  }

  /** Adds a piece, or what of it has not come yet. False if there is nothing new in it. */
  add({ stream, text, at }: Omit<Chunk, 'bytes'>): boolean {
    const all = Buffer.from(text);
    let known = Math.max(0, (this.#end ?? at) - at);
    if (known >= all.byteLength) return false;
    while (isInsideCharacter(all[known])) known += 1;
    const fresh = all.subarray(known).toString();
    const bytes = all.byteLength - known;
    if (bytes > 0) this.#append({ stream, text: fresh, at: at + known, bytes });
    this.#end = at + all.byteLength;
    return true;
  }

  /** Drops the oldest until no more than `maxSize` is left. */
  shrink(maxSize: number): void {
    while (this.#size > maxSize && this.#chunks.length > 0) this.#dropOldest();
  }

  /** Drops what lies before a place. */
  dropBefore(place: number): void {
    for (let oldest = this.#chunks[0]; oldest !== undefined; oldest = this.#chunks[0]) {
      if (endOf(oldest) > place) return;
      this.#dropOldest();
    }
  }

  /** Where the newest output begins of which a page of so many characters shows all. */
  newestPlace(maxChars: number): number {
    let left = maxChars;
    for (const chunk of this.#chunks.toReversed()) {
      if (chunk.text.length >= left) return endOf(chunk) - bytesOfLast(chunk.text, left);
      left -= chunk.text.length;
    }
    return this.#chunks[0]?.at ?? this.#end ?? 0;
  }

  /** What there is from a place on, at most so many characters (but at least one). */
  page(place: number, maxChars: number): OutputPage {
    const end = this.#end ?? place;
    const start = Math.min(place, end);
    const page = new PageMaker(start, maxChars);
    for (const chunk of this.#chunks) {
      if (endOf(chunk) > start && !page.add(chunk)) break;
    }
    return page.finished(end);
  }

  #append(chunk: Chunk): void {
    const last = this.#chunks.at(-1);
    if (last === undefined || !isJoinable(last, chunk)) {
      this.#chunks.push(chunk);
      this.#size += CHUNK_BYTES;
    } else {
      const { stream, at, bytes } = last;
      const text = flat(last.text + chunk.text);
      this.#chunks[this.#chunks.length - 1] = { stream, at, bytes: bytes + chunk.bytes, text };
    }
    this.#size += chunk.bytes;
  }

  #dropOldest(): void {
    const oldest = this.#chunks.shift();
    if (oldest !== undefined) this.#size -= CHUNK_BYTES + oldest.bytes;
  }
}

/** A text that holds on to no other that it was made from. */
export function flat(text: string): string {
  return Buffer.from(text).toString();
}

/** Collects the parts of a page. */
class PageMaker {
  readonly #parts: OutputPart[] = [];
  readonly #maxChars: number;
  #offset: number | undefined;
  #next: number;
  #chars = 0;
  #droppedBytes = 0;
  #isFull = false;

  constructor(start: number, maxChars: number) {
    this.#next = start;
    this.#maxChars = maxChars;
  }

  /** False if there is room for no more than a part of it. */
  add(chunk: Chunk): boolean {
    const left = this.#maxChars - this.#chars;
    if (left <= 0 && this.#parts.length > 0) {
      this.#isFull = true;
      return false;
    }
    const rest = fromPlace(chunk, this.#next);
    const text = firstChars(rest.text, left);
    this.#droppedBytes += Math.max(0, rest.at - this.#next);
    this.#offset ??= rest.at;
    this.#chars += text.length;
    this.#next = rest.at + Buffer.byteLength(text);
    this.#push({ stream: chunk.stream, text });
    this.#isFull = text.length < rest.text.length;
    return !this.#isFull;
  }

  finished(end: number): OutputPage {
    // What lies behind the last chunk was dropped, too.
    const missing = this.#isFull ? 0 : end - this.#next;
    const nextOffset = this.#next + missing;
    return {
      offset: this.#offset ?? nextOffset,
      nextOffset,
      parts: this.#parts,
      droppedBytes: this.#droppedBytes + missing,
      hasMore: this.#isFull,
    };
  }

  #push(part: OutputPart): void {
    const last = this.#parts.at(-1);
    if (last?.stream !== part.stream) this.#parts.push(part);
    else this.#parts[this.#parts.length - 1] = { ...last, text: last.text + part.text };
  }
}

function endOf({ at, bytes }: Chunk): number {
  return at + bytes;
}

function isJoinable(last: Chunk, next: Chunk): boolean {
  return (
    last.stream === next.stream &&
    endOf(last) === next.at &&
    last.bytes + next.bytes <= JOINED_MAX_BYTES
  );
}

/** A chunk from a place on; from the beginning of the character that the place is inside of. */
function fromPlace({ at, text }: Chunk, place: number): { at: number; text: string } {
  if (place <= at) return { at, text };
  const all = Buffer.from(text);
  let from = place - at;
  while (isInsideCharacter(all[from])) from -= 1;
  return { at: at + from, text: all.subarray(from).toString() };
}

function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** What the last characters take, no surrogate pair cut in two. */
function bytesOfLast(text: string, chars: number): number {
  const last = text.slice(-chars);
  return Buffer.byteLength(last.isWellFormed() ? last : last.slice(1));
}

/** At most so many characters and at least one, no surrogate pair cut in two. */
function firstChars(text: string, max: number): string {
  if (text.length <= max) return text;
  const first = text.codePointAt(0) ?? 0;
  const least = first > 0xffff ? 2 : 1;
  const cut = text.slice(0, Math.max(max, least));
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}
