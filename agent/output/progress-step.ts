/** How far a command is, as it travels in `$/progress`. */
export interface Step {
  /** For people. */
  readonly data: string;
  readonly fraction?: number;
}

const STEP_MAX_CHARS = 500;

/** One line; what an engine or a program says may be of any length. */
export function step(message: string, fraction: number | undefined): Step {
  const data = message.slice(0, STEP_MAX_CHARS).toWellFormed();
  if (fraction === undefined || !Number.isFinite(fraction)) return { data };
  return { data, fraction: Math.min(1, Math.max(0, fraction)) };
}
