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
  /** Monotonic ms of the last request's beginning or end. */
  usedAt: number;
  /** Requests that are not answered yet; a stream on which the server speaks by itself is none. */
  inFlight: number;
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
    return this.#serve(session, request, options);
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
    if (this.#sessions.size >= MCP_SESSIONS_MAX_COUNT && this.#dispensable(token) === undefined) {
      return rpcError(
        503,
        'Every MCP session has a request under way and no more can be opened. Try again later.',
      );
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => this.#keep(id, session),
      onsessionclosed: (id) => void this.#sessions.delete(id),
    });
    const session: Session = { token, transport, usedAt: performance.now(), inFlight: 0 };
    transport.onerror = (error) => this.#log.debug({ err: error }, 'MCP session fault');
    await this.#newServer().connect(transport);
    return this.#serve(session, request, options);
  }

  async #serve(
    session: Session,
    request: Request,
    options: McpHandlerRequestOptions,
  ): Promise<Response> {
    session.usedAt = performance.now();
    if (request.method !== 'POST') return session.transport.handleRequest(request, options);
    session.inFlight += 1;
    const { promise, resolve: ended } = Promise.withResolvers<void>();
    void promise.then(() => {
      session.inFlight -= 1;
      session.usedAt = performance.now();
    });
    // The body of a client that went away is left unread.
    request.signal.addEventListener('abort', () => ended(), { once: true });
    const answer = session.transport.handleRequest(request, options);
    answer.catch(() => ended());
    return whenEnded(await answer, ended);
  }

  async #keep(id: string, session: Session): Promise<void> {
    this.#sessions.set(id, session);
    if (this.#sessions.size <= MCP_SESSIONS_MAX_COUNT) return;
    const dispensable = this.#dispensable(session.token);
    if (dispensable !== undefined) await this.#close(dispensable);
  }

  /**
   * The session to close for one of that token: of the tokens that have at least as many, the one
   * that has most and has one at rest, the one of its that is unused for longest.
   */
  #dispensable(token: string): string | undefined {
    const counts = Map.groupBy(this.#sessions.values(), (session) => session.token);
    const countOf = (of: string): number => counts.get(of)?.length ?? 0;
    const own = countOf(token);
    const [first] = [...this.#sessions]
      .filter(([, session]) => session.inFlight === 0 && countOf(session.token) >= own)
      .sort(([, a], [, b]) => countOf(b.token) - countOf(a.token) || a.usedAt - b.usedAt);
    return first?.[0];
  }

  async #closeIdle(): Promise<void> {
    const before = performance.now() - MCP_SESSION_IDLE_MAX_MS;
    for (const [id, session] of this.#sessions) {
      if (session.inFlight === 0 && session.usedAt < before) await this.#close(id);
    }
  }

  async #close(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.transport.close();
  }
}

/** The response as it is; `ended` is called when all of it was read, or is not wanted any more. */
function whenEnded(response: Response, ended: () => void): Response {
  if (response.body === null) {
    ended();
    return response;
  }
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  void response.body.pipeTo(writable).then(ended, ended);
  return new Response(readable, response);
}

function rpcError(status: number, message: string): Response {
  const error = { code: -32_000, message };
  return Response.json({ jsonrpc: '2.0', error, id: null }, { status });
}
