/** What a named MCP token may be called; its file is that name and `.json`. */
export const TOKEN_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const TOKEN_FILE_SUFFIX = '.json';

/** Who calls with the named token, as the audit says it. */
export function actorOf(name: string): string {
  return `token:${name}`;
}

/** The name of the token that a file holds; undefined if no token's file is called that. */
export function tokenNameOf(file: string): string | undefined {
  if (!file.endsWith(TOKEN_FILE_SUFFIX)) return undefined;
  const name = file.slice(0, -TOKEN_FILE_SUFFIX.length);
  return TOKEN_NAME.test(name) ? name : undefined;
}
