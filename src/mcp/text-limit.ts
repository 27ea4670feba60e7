/** Most characters of a result that hosts show a model whole. */
export const RESULT_TEXT_MAX_CHARS = 50_000;

/** A text cut after its last whole line within the limit, or undefined if it fits. */
export function cutText(text: string): string | undefined {
  if (text.length <= RESULT_TEXT_MAX_CHARS) return undefined;
  const head = text.slice(0, RESULT_TEXT_MAX_CHARS);
  const lastLine = head.lastIndexOf('\n');
  return lastLine > 0 ? head.slice(0, lastLine) : head.replace(/[\uD800-\uDBFF]$/, '');
}
