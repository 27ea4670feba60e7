import { expect, it } from 'vitest';
import { demultiplex } from './docker-frames.ts';

const frame = (source: number, text: string) => {
  const header = Buffer.from([source, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
};
const bytes = Buffer.concat([frame(1, 'out'), frame(2, ''), frame(2, 'error'), frame(1, 'end')]);

async function* inChunksOf(size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

it.each([[1], [3], [7], [8], [11], [1_000]])(
  'keeps sources apart and in order when bytes arrive in chunks of %i',
  async (size) => {
    let log = '';
    for await (const { source, data } of demultiplex(inChunksOf(size))) {
      for (const char of data.toString()) log += source === 'stdout' ? char : char.toUpperCase();
    }
    expect(log).toBe('outERRORend');
  },
);

it('hands pieces on before the announced length has arrived', async () => {
  const stream = demultiplex(inChunksOf(10));
  const first = await stream.next();
  expect(first.value?.data.toString()).toBe('ou');
});
