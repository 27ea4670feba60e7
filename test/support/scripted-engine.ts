import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One request as an engine gets it. */
export interface EngineCall {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly body: string;
}

export interface ScriptedEngine extends AsyncDisposable {
  readonly host: string;
  readonly calls: readonly EngineCall[];
}

/**
 * An HTTP server that answers as `answer` says: for replies that no engine at hand gives (newer and
 * older API versions, broken connections). Listens on a Unix socket, or on a port of `address`.
 */
export async function startScriptedEngine(
  answer: (call: EngineCall, response: ServerResponse) => void,
  address?: string,
): Promise<ScriptedEngine> {
  const calls: EngineCall[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const call = { method: request.method ?? '', url: request.url ?? '', body };
      calls.push(call);
      answer(call, response);
    });
  });
  const directory = await mkdtemp(join(tmpdir(), 'tomo-engine-'));
  const path = join(directory, 'docker.sock');
  if (address === undefined) server.listen(path);
  else server.listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  const shown = address?.includes(':') === true ? `[${address}]` : address;
  const host =
    bound === null || typeof bound === 'string' ? `unix://${path}` : `tcp://${shown}:${bound.port}`;
  return {
    host,
    calls,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** An answer of JSON. */
export function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}
