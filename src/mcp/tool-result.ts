import type { TomoError } from '../../protocol/errors.ts';

/** What a tool call answers with: text for the model, the same as data for programs. */
export interface ToolResult {
  readonly content: { type: 'text'; text: string }[];
  readonly structuredContent: Record<string, unknown>;
  readonly isError?: boolean;
  // The SDK's result type is open to further keys.
  [key: string]: unknown;
}

export function successResult(
  structured: Record<string, unknown>,
  text: string | undefined,
  isError: boolean | undefined,
): ToolResult {
  return {
    content: [{ type: 'text', text: text ?? JSON.stringify(structured, null, 1) }],
    structuredContent: structured,
    ...(isError === true ? { isError } : {}),
  };
}

export function errorResult({ code, name, message }: TomoError): ToolResult {
  return {
    content: [{ type: 'text', text: `${name} (${code}): ${message}` }],
    structuredContent: { error: { code, name, message } },
    isError: true,
  };
}
