// Controls but the tab, what changes the direction of text or is not seen, and halves of characters.
const UNPLAIN =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

/**
 * Text from a server that moves no cursor, colours nothing and hides nothing, wherever it is shown:
 * characters that could are written as their codes.
 */
export function plainText(text: string): string {
  return text.replace(UNPLAIN, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    if (code.length <= 2) return `\\x${code.padStart(2, '0')}`;
    return code.length <= 4 ? `\\u${code.padStart(4, '0')}` : `\\u{${code}}`;
  });
}
