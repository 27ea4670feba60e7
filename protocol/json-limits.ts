import { JSON_DEPTH_MAX, JSON_VALUES_MAX_COUNT } from './limits.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/**
 * What a text would be too much for, if it is JSON; undefined if it is within the limits. To be asked
 * before it is parsed: a small text can become a very large value.
 */
export function jsonExcess(text: string): 'depth' | 'values' | undefined {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) at = endOfString(text, at);
    else if (char === COMMA) values += 1;
    else if (char === CLOSING_BRACKET || char === CLOSING_BRACE) depth -= 1;
    else if (char === OPENING_BRACKET || char === OPENING_BRACE) {
      depth += 1;
      values += 1;
      if (depth > JSON_DEPTH_MAX) return 'depth';
    }
    if (values > JSON_VALUES_MAX_COUNT) return 'values';
  }
  return undefined;
}

/** How deep a value nests; stops counting past the limit. */
export function exceedsDepth(value: unknown, left: number = JSON_DEPTH_MAX): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return left === 0 || Object.values(value).some((inner) => exceedsDepth(inner, left - 1));
}

/** The place of the quote that ends the string that begins at `start`, or of the text's end. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

function isEscaped(text: string, quote: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}
