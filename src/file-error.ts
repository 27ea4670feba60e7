/** Whether the operating system refused with that code, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** For a directory that may not be there: nothing is in it then. Throws any other error on. */
export function noneIfAbsent(error: unknown): [] {
  if (hasCode(error, 'ENOENT')) return [];
  throw error;
}
