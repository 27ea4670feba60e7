/**
 * Bytes of a parsed value written as JSON again; Infinity if it cannot be: reading JSON of any depth
 * is no trouble, but writing it overflows the stack.
 */
export function jsonBytes(value: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(value) ?? '');
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
