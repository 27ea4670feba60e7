/** Most characters of a result that hosts show a model whole. */
export const RESULT_TEXT_MAX_CHARS = 50_000;

/** A text cut after a whole line within the limit, or undefined if it fits. */
export function cutText(text: string, maxChars = RESULT_TEXT_MAX_CHARS): string | undefined {
  if (text.length <= maxChars) return undefined;
  const head = text.slice(0, maxChars);
  // Lines of a command's output are escaped within their JSON string.
  const end = Math.max(head.lastIndexOf('\n'), head.lastIndexOf('\\n'));
  // A single line that fills most of the text is cut in its middle, but never inside a character.
  return end > head.length / 2 ? head.slice(0, end) : head.replace(/[\uD800-\uDBFF]$/, '');
}
