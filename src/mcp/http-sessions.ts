import { randomUUID } from 'node:crypto';
import {
  isInitializeRequest,
  type McpHandlerRequestOptions,
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import type { Logger } from 'pino';
import { MCP_SESSION_IDLE_MAX_MS, MCP_SESSIONS_MAX_COUNT } from '../../protocol/limits.ts';

const SESSION_HEADER = 'mcp-session-id';
const SWEEP_MS = 60_000;

interface Session {
  /** The bearer token that opened it. */
  readonly token: string;
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

  /** A session belongs to the token that opened it: with another it is unknown. */
  async fetch(
    request: Request,
    token: string,
    options: McpHandlerRequestOptions = {},
  ): Promise<Response> {
    const id = request.headers.get(SESSION_HEADER);
    if (id === null) return this.#open(request, token, options);
    const session = this.#sessions.get(id);
    if (session === undefined || session.token !== token) {
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

  /** The tokens that have a session. */
  get tokens(): string[] {
    return [...this.#sessions.values()].map(({ token }) => token);
  }

  /** Ends the sessions of these tokens. */
  async closeOf(tokens: readonly string[]): Promise<void> {
    for (const [id, { token }] of this.#sessions) {
      if (tokens.includes(token)) await this.#close(id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#sessions.keys()].map((id) => this.#close(id)));
  }

  async #open(
    request: Request,
    token: string,
    options: McpHandlerRequestOptions,
  ): Promise<Response> {
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
      onsessioninitialized: (id) => this.#keep(id, token, transport),
      onsessionclosed: (id) => void this.#sessions.delete(id),
    });
    transport.onerror = (error) => this.#log.debug({ err: error }, 'MCP session fault');
    await this.#newServer().connect(transport);
    return transport.handleRequest(request, options);
  }

  async #keep(id: string, token: string, transport: Session['transport']): Promise<void> {
    this.#sessions.set(id, { token, transport, usedAt: performance.now() });
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MCP_SESSIONS_MAX_COUNT && oldest !== undefined)
      await this.#close(oldest);
  }

  async #closeIdle(): Promise<void> {
    const before = performance.now() - MCP_SESSION_IDLE_MAX_MS;
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
