import { expect, it } from 'vitest';
import { type JsonLinesOptions, jsonLines } from './json-lines.ts';

async function read(
  chunks: readonly (string | Buffer)[],
  options?: JsonLinesOptions,
): Promise<unknown[]> {
  async function* bytes() {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const values: unknown[] = [];
  for await (const { value } of jsonLines(bytes(), options)) values.push(value);
  return values;
}

it('reads a value a line, however the lines arrive', async () => {
  const bytes = Buffer.from('{"a":"ü"}\r\n\n[1]\n2\n');
  const expected = [{ a: 'ü' }, [1], 2];
  expect(await read([bytes])).toEqual(expected);
  expect(await read(Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(expected);
});

it('leaves out a last line that was cut off', async () => {
  expect(await read(['1\n{"a"'])).toEqual([1]);
  expect(await read(['1\n{"a":2}'])).toEqual([1, { a: 2 }]);
});

it.each([
  ['no JSON', ['1\n', 'no\n']],
  ['a line without end', Array.from({ length: 40 }, () => 'x'.repeat(65_536))],
])('refuses %s', async (_what, chunks) => {
  await expect(read(chunks)).rejects.toMatchObject({ name: 'DOCKER_REFUSED' });
  const more = [...chunks, '\n', '2\n'];
  expect((await read(more, { isLenient: true })).at(-1)).toBe(2);
});
