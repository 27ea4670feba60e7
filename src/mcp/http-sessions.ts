import { randomUUID } from 'node:crypto';
import {
  isInitializeRequest,
  type McpHandlerRequestOptions,
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import type { Logger } from 'pino';

const SESSION_HEADER = 'mcp-session-id';
/** Sessions of 2025-era clients kept at one time; the one unused for longest gives way. */
const SESSIONS_MAX_COUNT = 1_000;
/** A session unused for so long is closed. */
const SESSION_IDLE_MAX_MS = 24 * 60 * 60 * 1_000;
const SWEEP_MS = 60_000;

interface Session {
  readonly transport: WebStandardStreamableHTTPServerTransport;
  usedAt: number;
}

/**
 * Streamable HTTP as revisions up to 2025-11-25 have it: with sessions, without which neither cancel
 * nor server requests would reach the handlers of these clients.
 */
export class HttpSessions implements AsyncDisposable {
  readonly #newServer: () => McpServer;
  readonly #log: Logger;
  readonly #sessions = new Map<string, Session>();
  readonly #sweeper = setInterval(() => void this.#closeIdle(), SWEEP_MS);

  constructor(newServer: () => McpServer, log: Logger) {
    this.#newServer = newServer;
    this.#log = log;
    this.#sweeper.unref();
  }

  get count(): number {
    return this.#sessions.size;
  }

  async fetch(request: Request, options: McpHandlerRequestOptions = {}): Promise<Response> {
    const id = request.headers.get(SESSION_HEADER);
    if (id === null) return this.#open(request, options);
    const session = this.#sessions.get(id);
    if (session === undefined) {
      return rpcError(
        404,
        'Session not found: it has ended or the server restarted. Initialize anew.',
      );
    }
    session.usedAt = performance.now();
    // Set again, so that the map's order is that of the last use.
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    return session.transport.handleRequest(request, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#sessions.keys()].map((id) => this.#close(id)));
  }

  async #open(request: Request, options: McpHandlerRequestOptions): Promise<Response> {
    const body: unknown = await request
      .clone()
      .json()
      .catch(() => undefined);
    const messages: unknown[] = Array.isArray(body) ? body : [body];
    if (!messages.some((message) => isInitializeRequest(message))) {
      return rpcError(400, 'No session: send an initialize request first, without Mcp-Session-Id.');
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => this.#keep(id, transport),
      onsessionclosed: (id) => void this.#sessions.delete(id),
    });
    transport.onerror = (error) => this.#log.debug({ err: error }, 'MCP session fault');
    await this.#newServer().connect(transport);
    return transport.handleRequest(request, options);
  }

  async #keep(id: string, transport: WebStandardStreamableHTTPServerTransport): Promise<void> {
    this.#sessions.set(id, { transport, usedAt: performance.now() });
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > SESSIONS_MAX_COUNT && oldest !== undefined) await this.#close(oldest);
  }

  async #closeIdle(): Promise<void> {
    const before = performance.now() - SESSION_IDLE_MAX_MS;
    for (const [id, session] of this.#sessions) {
      if (session.usedAt < before) await this.#close(id);
    }
  }

  async #close(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.transport.close();
  }
}

function rpcError(status: number, message: string): Response {
  const error = { code: -32_000, message };
  return Response.json({ jsonrpc: '2.0', error, id: null }, { status });
}
