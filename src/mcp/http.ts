import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  hostHeaderValidation,
  type NodeMcpRequestHandler,
  originValidation,
  toNodeHandler,
} from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isLegacyRequest,
  type McpHandlerRequestOptions,
  type McpHttpHandler,
} from '@modelcontextprotocol/server';
import { bearerMatches } from './bearer-token.ts';
import type { ToolDeps } from './define-tool.ts';
import { HttpSessions } from './http-sessions.ts';
import { createMcpServer } from './server-factory.ts';

/** Largest request body; arguments of tools are small. */
const BODY_MAX_BYTES = 4 * 1024 * 1024;

export interface McpHttpOptions extends ToolDeps {
  /** SHA-256 (hex) of the bearer token. */
  readonly tokenHash: string;
  /** Host names (without port) under which clients may reach this server; against DNS rebinding. */
  readonly hostNames: readonly string[];
}

/** MCP over Streamable HTTP: every protocol revision, behind a bearer token. */
export class McpHttp implements AsyncDisposable {
  readonly #options: McpHttpOptions;
  readonly #modern: McpHttpHandler;
  readonly #sessions: HttpSessions;
  readonly #handle: NodeMcpRequestHandler;
  readonly #hostAllowed: (request: IncomingMessage, response: ServerResponse) => boolean;
  readonly #originAllowed: (request: IncomingMessage, response: ServerResponse) => boolean;

  constructor(options: McpHttpOptions) {
    this.#options = options;
    const newServer = () => createMcpServer(options);
    const onerror = (error: Error) => options.log.debug({ err: error }, 'MCP request fault');
    const limits = { maxRequestBodySize: BODY_MAX_BYTES, onerror };
    this.#modern = createMcpHandler(newServer, { legacy: 'reject', ...limits });
    this.#sessions = new HttpSessions(newServer, options.log);
    this.#handle = toNodeHandler({ fetch: (request, more) => this.#route(request, more) }, limits);
    this.#hostAllowed = hostHeaderValidation([...options.hostNames]);
    this.#originAllowed = originValidation([...options.hostNames]);
  }

  /** Answers one request for `/mcp`. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#hostAllowed(request, response) || !this.#originAllowed(request, response)) return;
    if (!bearerMatches(request.headers.authorization, this.#options.tokenHash)) {
      unauthorized(response);
      return;
    }
    const { method = 'GET', url = '/' } = request;
    await this.#handle(Object.assign(request, { method, url }), response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#modern.close(), this.#sessions[Symbol.asyncDispose]()]);
  }

  async #route(request: Request, options?: McpHandlerRequestOptions): Promise<Response> {
    const legacy = await isLegacyRequest(request, undefined, {
      maxRequestBodySize: BODY_MAX_BYTES,
    });
    return (legacy ? this.#sessions : this.#modern).fetch(request, options);
  }
}

function unauthorized(response: ServerResponse): void {
  const message =
    'Bearer token missing or wrong. "tomo token" prints it; send it as Authorization.';
  response.writeHead(401, { 'WWW-Authenticate': 'Bearer', 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32_001, message }, id: null }));
}
