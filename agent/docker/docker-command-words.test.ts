import { expect, it } from 'vitest';
import { splitWords } from './docker-command-words.ts';

it.each([
  ['redis-server  --appendonly yes ', ['redis-server', '--appendonly', 'yes']],
  [`sh -c 'echo "a  b"'`, ['sh', '-c', 'echo "a  b"']],
  [`a"b 'c' "d'e f'`, ["ab 'c' de f"]],
  [`"a \\"b\\" \\n \\\\" c\\ d`, ['a "b" \\n \\', 'c d']],
  [`'' ""`, ['', '']],
  [`it's`, ["it's"]],
  ['a\\\nb', ['ab']],
  ['   ', []],
])('splits %j into words as a shell would', (line, words) => {
  expect(splitWords(line)).toEqual(words);
});
