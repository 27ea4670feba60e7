import type { TomoError } from '../../protocol/errors.ts';

/** A picture as MCP carries it. */
export interface ToolImage {
  /** base64 */
  readonly data: string;
  readonly mimeType: 'image/png';
}

type Content = { type: 'text'; text: string } | ({ type: 'image' } & ToolImage);

/** What a tool call answers with: text for the model, the same as data for programs. */
export interface ToolResult {
  readonly content: Content[];
  readonly structuredContent: Record<string, unknown>;
  readonly isError?: boolean;
  // The SDK's result type is open to further keys.
  [key: string]: unknown;
}

export function successResult(
  structured: Record<string, unknown>,
  { text, image, isError }: { text?: string; image?: ToolImage; isError?: boolean },
): ToolResult {
  return {
    content: [
      { type: 'text', text: text ?? dataText(structured) },
      ...(image === undefined ? [] : [{ type: 'image' as const, ...image }]),
    ],
    structuredContent: structured,
    ...(isError === true ? { isError } : {}),
  };
}

/** Data as a model reads it. */
export function dataText(data: unknown): string {
  return JSON.stringify(data, null, 1);
}

export function errorResult({ code, name, message }: TomoError): ToolResult {
  return {
    content: [{ type: 'text', text: `${name} (${code}): ${message}` }],
    structuredContent: { error: { code, name, message } },
    isError: true,
  };
}
