/** Where a command writes, and whether a person reads it there. */
export interface Output {
  readonly stdout: { readonly isTTY?: boolean; write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}
