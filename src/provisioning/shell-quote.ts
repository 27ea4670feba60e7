const SAFE_WORD = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** A word as sh, bash and zsh read it back unchanged. */
export function shellQuote(word: string): string {
  return SAFE_WORD.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
