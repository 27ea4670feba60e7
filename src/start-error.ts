/** The program cannot start: one line naming the cause and the way out, for a person. */
export class StartError extends Error {
  readonly exitCode: 1 | 2;

  /** `exitCode`: 2 for what was typed wrong, 1 for what stands in the way. */
  constructor(message: string, exitCode: 1 | 2, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}
