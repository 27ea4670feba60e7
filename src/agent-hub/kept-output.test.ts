import { describe, expect, it } from 'vitest';
import { KeptOutput } from './kept-output.ts';

const out = (text: string, at: number) => ({ stream: 'stdout' as const, text, at });
const err = (text: string, at: number) => ({ stream: 'stderr' as const, text, at });

function textOf(kept: KeptOutput, place: number, maxChars = 1_000): string {
  return kept
    .page(place, maxChars)
    .parts.map(({ text }) => text)
    .join('');
}

describe('the output kept of a command', () => {
  it('is read in the order of arrival, neighbours of one stream joined', () => {
    const kept = new KeptOutput(0);
    kept.add(out('a', 0));
    kept.add(out('b', 1));
    kept.add(err('c', 2));
    kept.add(out('d', 3));
    expect(kept.page(0, 100)).toEqual({
      offset: 0,
      nextOffset: 4,
      parts: [
        { stream: 'stdout', text: 'ab' },
        { stream: 'stderr', text: 'c' },
        { stream: 'stdout', text: 'd' },
      ],
      droppedBytes: 0,
      hasMore: false,
    });
  });

  it('counts places in bytes, and cuts pages between characters', () => {
    const kept = new KeptOutput(0);
    kept.add(out('aé€😀z', 0));
    expect(kept.page(0, 3)).toMatchObject({ nextOffset: 6, hasMore: true });
    expect(textOf(kept, 0, 4)).toBe('aé€');
    expect(textOf(kept, 6, 1)).toBe('😀');
    expect(textOf(kept, 10)).toBe('z');
    expect(kept.page(8, 100)).toMatchObject({ offset: 6, droppedBytes: 0, nextOffset: 11 });
  });

  it('is read page by page without loss, whatever the pages’ size', () => {
    const kept = new KeptOutput(0);
    let at = 0;
    let all = '';
    for (let count = 0; count < 300; count += 1) {
      const text = `${count}€`.repeat(1 + (count % 40));
      kept.add(count % 3 === 0 ? err(text, at) : out(text, at));
      at += Buffer.byteLength(text);
      all += text;
    }
    for (const maxChars of [1, 7, 512, 1_000_000]) {
      let read = '';
      let page = kept.page(0, maxChars);
      for (; page.parts.length > 0; page = kept.page(page.nextOffset, maxChars)) {
        read += page.parts.map(({ text }) => text).join('');
      }
      expect(read).toBe(all);
      expect(page).toMatchObject({ nextOffset: at, hasMore: false });
    }
  });

  it('says what was dropped: before it, inside it, and behind it', () => {
    const kept = new KeptOutput(0);
    kept.add(out('a'.repeat(600), 0));
    kept.add(out('b'.repeat(600), 1_000));
    expect(kept.page(0, 2_000)).toMatchObject({ offset: 0, droppedBytes: 400, nextOffset: 1_600 });
    kept.shrink(700);
    expect(kept.page(0, 2_000)).toMatchObject({ offset: 1_000, droppedBytes: 1_000 });
    kept.shrink(0);
    expect(kept.size).toBe(0);
    expect(kept.page(100, 2_000)).toEqual({
      offset: 1_600,
      nextOffset: 1_600,
      parts: [],
      droppedBytes: 1_500,
      hasMore: false,
    });
  });

  it('takes nothing twice: a piece that has come, or the part of one', () => {
    const kept = new KeptOutput(0);
    expect(kept.add(out('abc', 0))).toBe(true);
    expect(kept.add(out('abc', 0))).toBe(false);
    expect(kept.add(out('c', 2))).toBe(false);
    expect(kept.add(out('bcd€', 1))).toBe(true);
    expect(textOf(kept, 0)).toBe('abcd€');
    expect(kept.add(out('€€', 5))).toBe(true);
    expect(textOf(kept, 0)).toBe('abcd€€');
    expect(kept.end).toBe(11);
    expect(kept.add(out('', 11))).toBe(false);
  });

  it('ends where the first piece is if its beginning is not known', () => {
    const kept = new KeptOutput(undefined);
    expect(kept.page(50, 10)).toMatchObject({ offset: 50, nextOffset: 50, droppedBytes: 0 });
    kept.add(out('x', 1_000));
    expect(kept.page(50, 10)).toMatchObject({
      offset: 1_000,
      nextOffset: 1_001,
      droppedBytes: 950,
    });
  });

  it('has nothing past its end, and says where that is', () => {
    const kept = new KeptOutput(0);
    kept.add(out('abc', 0));
    expect(kept.page(10, 10)).toMatchObject({ offset: 3, nextOffset: 3, parts: [] });
  });

  it('keeps what lies after the place that is taken', () => {
    const kept = new KeptOutput(0);
    kept.add(out('a', 0));
    kept.add(err('b', 1));
    kept.add(out('c', 2));
    kept.dropBefore(2);
    expect(textOf(kept, 2)).toBe('c');
    expect(kept.page(0, 10)).toMatchObject({ offset: 2, droppedBytes: 2 });
  });

  it('takes single bytes in little more room than lines', () => {
    const kept = new KeptOutput(0);
    for (let at = 0; at < 100_000; at += 1) kept.add(out('x', at));
    expect(kept.size).toBeLessThan(120_000);
    expect(textOf(kept, 0, 1_000_000)).toHaveLength(100_000);
  });

  it('replaces halves of characters, which are no text', () => {
    const kept = new KeptOutput(0);
    kept.add(out('\ud83d', 0));
    kept.add(out('\ude00', 3));
    expect(textOf(kept, 0)).toBe('\ufffd\ufffd');
    expect(kept.end).toBe(6);
    kept.add(out('€', 5));
    expect(kept.page(0, 10)).toMatchObject({ nextOffset: 8, droppedBytes: 2 });
  });
});
