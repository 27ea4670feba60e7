import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as HttpV2,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport as TransportV1 } from '@modelcontextprotocol/sdk/shared/transport.js';
import { z } from 'zod';

/** The MCP clients that people really have. */
export const CLIENT_KINDS = ['v2-auto', 'v2-legacy', 'v1', 'inspector'] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

/** Where a client finds its server: a URL with a token, or a command line. */
export type Target =
  | { readonly url: string; readonly token: string }
  | { readonly command: string; readonly args: string[]; readonly env?: Record<string, string> };

const toolResultSchema = z.looseObject({
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  isError: z.boolean().optional(),
});
export type ToolCallResult = z.infer<typeof toolResultSchema>;

const toolsSchema = z.looseObject({ tools: z.array(z.looseObject({ name: z.string() })) });

type OnProgress = (progress: { progress: number; message?: string | undefined }) => void;

export interface TestClient {
  listTools(): Promise<{ name: string }[]>;
  callTool(
    name: string,
    args: object,
    signal?: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<ToolCallResult>;
  close(): Promise<void>;
}

const CALL_TIMEOUT_MS = 120_000;
const INFO = { name: 'tomo-test', version: '1.0.0' };

export function connectClient(kind: ClientKind, target: Target): Promise<TestClient> {
  switch (kind) {
    case 'v2-auto':
      return connectV2('auto', target);
    case 'v2-legacy':
      return connectV2('legacy', target);
    case 'v1':
      return connectV1(target);
    case 'inspector':
      return Promise.resolve(inspector(target));
  }
}

async function connectV2(mode: 'auto' | 'legacy', target: Target): Promise<TestClient> {
  const client = new ClientV2(INFO, { versionNegotiation: { mode } });
  const transport =
    'url' in target
      ? new HttpV2(new URL(target.url), { requestInit: { headers: bearer(target.token) } })
      : new StdioV2({ ...stdioParameters(target), stderr: 'ignore' });
  await client.connect(transport);
  return {
    listTools: async () => toolsSchema.parse(await client.listTools()).tools,
    callTool: async (name, args, signal, onProgress) =>
      toolResultSchema.parse(
        await client.callTool({ name, arguments: { ...args } }, callOptions(signal, onProgress)),
      ),
    close: () => client.close(),
  };
}

async function connectV1(target: Target): Promise<TestClient> {
  const client = new ClientV1(INFO);
  const transport =
    'url' in target
      ? new HttpV1(new URL(target.url), { requestInit: { headers: bearer(target.token) } })
      : new StdioV1({ ...stdioParameters(target), stderr: 'ignore' });
  // v1's own classes do not fit its interface under exactOptionalPropertyTypes.
  await client.connect(transport as TransportV1);
  return {
    listTools: async () => toolsSchema.parse(await client.listTools()).tools,
    callTool: async (name, args, signal, onProgress) =>
      toolResultSchema.parse(
        await client.callTool(
          { name, arguments: { ...args } },
          undefined,
          callOptions(signal, onProgress),
        ),
      ),
    close: () => client.close(),
  };
}

const INSPECTOR = fileURLToPath(
  new URL(
    '../../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js',
    import.meta.url,
  ),
);
const INSPECTOR_EXIT_TOOL_ERROR = 5;

/** The inspector's command line: one process a call, as scripts use it. */
function inspector(target: Target): TestClient {
  const at =
    'url' in target
      ? [
          target.url,
          '--transport',
          'http',
          '--header',
          `Authorization: ${bearer(target.token).Authorization}`,
        ]
      : [target.command, ...target.args];
  const run = async (args: string[], signal?: AbortSignal): Promise<unknown> => {
    const child = spawn(
      process.execPath,
      [INSPECTOR, '--cli', ...at, '--protocol-era', 'auto', ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...('env' in target ? target.env : {}) },
      },
    );
    signal?.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
    const [out, err] = [collect(child.stdout), collect(child.stderr)];
    await once(child, 'close');
    if (child.exitCode !== 0 && child.exitCode !== INSPECTOR_EXIT_TOOL_ERROR) {
      throw new Error(
        `inspector ended with ${child.exitCode ?? child.signalCode}: ${err()}${out()}`,
      );
    }
    return JSON.parse(out());
  };
  return {
    listTools: async () => toolsSchema.parse(await run(['--method', 'tools/list'])).tools,
    callTool: async (name, args, signal) =>
      toolResultSchema.parse(
        await run(
          ['--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)],
          signal,
        ),
      ),
    close: () => Promise.resolve(),
  };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

function stdioParameters(target: Exclude<Target, { url: string }>): {
  command: string;
  args: string[];
  env: Record<string, string>;
} {
  const { PATH = '', HOME = '' } = process.env;
  return { command: target.command, args: target.args, env: { PATH, HOME, ...target.env } };
}

function callOptions(
  signal: AbortSignal | undefined,
  onprogress: OnProgress | undefined,
): { timeout: number; signal?: AbortSignal; onprogress?: OnProgress } {
  return {
    timeout: CALL_TIMEOUT_MS,
    ...(signal === undefined ? {} : { signal }),
    ...(onprogress === undefined ? {} : { onprogress }),
  };
}

function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}
