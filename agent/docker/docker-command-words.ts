/**
 * Splits a command line into its words as a shell would, without running one: quotes and backslashes
 * as in POSIX section 2.2, no variables, no patterns. As docker-py and Compose read a command.
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const [text] of line.matchAll(WORD)) {
    words.push(text.replaceAll(PART, (...groups: unknown[]) => unquote(groups)));
  }
  return words;
}

// A word is any run of single-quoted, double-quoted, escaped and plain characters. A quote that is
// never closed stands for itself.
const WORD = /(?:'[^']*'|"(?:\\[\s\S]|[^"\\])*"|\\[\s\S]|[^\s])+/g;
const PART = /'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|\\([\s\S])/g;
// Within double quotes a backslash quotes only these.
const ESCAPED_IN_QUOTES = /\\([$`"\\])|\\\n/g;

function unquote([, single, double, escaped]: readonly unknown[]): string {
  if (typeof single === 'string') return single;
  if (typeof double === 'string') return double.replaceAll(ESCAPED_IN_QUOTES, '$1');
  return escaped === '\n' ? '' : String(escaped);
}
