import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  hostHeaderValidation,
  type NodeMcpRequestHandler,
  originValidation,
  toNodeHandler,
} from '@modelcontextprotocol/node';
import {
  type AuthInfo,
  createMcpHandler,
  isLegacyRequest,
  type McpHandlerRequestOptions,
  type McpHttpHandler,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { Logger } from 'pino';
import { type Access, lowerAccess } from '../../protocol/access.ts';
import { MCP_BODY_MAX_BYTES } from '../../protocol/limits.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { AccessTokens } from './access-tokens.ts';
import { bearerOf } from './bearer-token.ts';
import { authInfoOf, callerOf } from './http-caller.ts';
import { HttpSessions } from './http-sessions.ts';
import { ResourceFeed } from './resource-feed.ts';
import { createMcpServer } from './server-factory.ts';

/** How soon what a removed token has open ends. */
const TOKENS_CHECK_MS = 1_000;

export interface McpHttpOptions {
  readonly fleet: Fleet;
  readonly tokens: Pick<AccessTokens, 'match' | 'accepts'>;
  /** Gives up commands that go on without a request, unless their caller's token is accepted. */
  readonly giveUpRuns: (isAccepted: (tokenHash: string) => boolean) => void;
  /** The most that anybody may do, whatever the token. */
  readonly ceiling: Access;
  /** Host names (without port) under which clients may reach this server; against DNS rebinding. */
  readonly hostNames: readonly string[];
  /** Where a request comes from, for the audit. */
  readonly clientAddress: (request: IncomingMessage) => string;
  readonly log: Logger;
}

/** MCP over Streamable HTTP: every protocol revision, behind bearer tokens. */
export class McpHttp implements AsyncDisposable {
  readonly #options: McpHttpOptions;
  readonly #modern: McpHttpHandler;
  readonly #sessions: HttpSessions;
  readonly #feed: ResourceFeed;
  readonly #handle: NodeMcpRequestHandler;
  readonly #hostAllowed: (request: IncomingMessage, response: ServerResponse) => boolean;
  readonly #originAllowed: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Answers that are still open, with the token that asked. */
  readonly #answering = new Map<ServerResponse, string>();
  readonly #tokensCheck = setInterval(() => void this.#endRemoved(), TOKENS_CHECK_MS);

  constructor(options: McpHttpOptions) {
    this.#options = options;
    const { fleet, log } = options;
    const isWelcome = (context: Pick<ServerContext, 'http'>) => this.#isWelcome(context);
    const feed = new ResourceFeed(fleet, log);
    const deps = { fleet, callerOf, isWelcome, log, feed };
    const onerror = (error: Error) => log.debug({ err: error }, 'MCP request fault');
    const limits = { maxRequestBodySize: MCP_BODY_MAX_BYTES, onerror };
    this.#feed = feed;
    const newServer = () => createMcpServer(deps, 'modern');
    this.#modern = createMcpHandler(newServer, { legacy: 'reject', bus: feed, ...limits });
    this.#sessions = new HttpSessions(() => createMcpServer(deps, 'legacy'), log);
    this.#handle = toNodeHandler({ fetch: (request, more) => this.#route(request, more) }, limits);
    this.#hostAllowed = hostHeaderValidation([...options.hostNames]);
    this.#originAllowed = originValidation([...options.hostNames]);
    this.#tokensCheck.unref();
  }

  /** Answers one request for `/mcp`. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#hostAllowed(request, response) || !this.#originAllowed(request, response)) return;
    const auth = this.#authenticate(request);
    if (auth === undefined) return unauthorized(response);
    this.#answering.set(response, auth.token);
    response.once('close', () => this.#answering.delete(response));
    const { method = 'GET', url = '/' } = request;
    await this.#handle(Object.assign(request, { method, url, auth }), response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#tokensCheck);
    this.#feed[Symbol.dispose]();
    await Promise.all([this.#modern.close(), this.#sessions[Symbol.asyncDispose]()]);
  }

  #authenticate(request: IncomingMessage): AuthInfo | undefined {
    const { tokens, ceiling, clientAddress } = this.#options;
    const { authorization } = request.headers;
    const token = bearerOf(authorization);
    const holder = tokens.match(authorization);
    if (token === undefined || holder === undefined) return undefined;
    const { actor, access } = holder;
    const origin = clientAddress(request);
    return authInfoOf(token, { actor, access: lowerAccess(access, ceiling), origin });
  }

  async #route(request: Request, options: McpHandlerRequestOptions = {}): Promise<Response> {
    const legacy = await isLegacyRequest(request, undefined, {
      maxRequestBodySize: MCP_BODY_MAX_BYTES,
    });
    if (!legacy) return this.#modern.fetch(request, options);
    return this.#sessions.fetch(request, options.authInfo?.token ?? '', options);
  }

  /** A removed token's streams, calls and commands end too, not only its next request. */
  async #endRemoved(): Promise<void> {
    try {
      this.#options.giveUpRuns((hash) => this.#options.tokens.accepts(hash));
      const tokens = new Set([...this.#answering.values(), ...this.#sessions.tokens]);
      const removed = [...tokens].filter((token) => !this.#accepts(token));
      for (const [response, token] of this.#answering) {
        if (removed.includes(token)) response.destroy();
      }
      await this.#sessions.closeOf(removed);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'cannot see which MCP tokens are still accepted');
    }
  }

  #isWelcome({ http }: Pick<ServerContext, 'http'>): boolean {
    try {
      return this.#accepts(http?.authInfo?.token ?? '');
    } catch {
      // Nothing says that the token was removed.
      return true;
    }
  }

  #accepts(token: string): boolean {
    return this.#options.tokens.match(`Bearer ${token}`) !== undefined;
  }
}

function unauthorized(response: ServerResponse): void {
  const message =
    'Bearer token missing or wrong. "tomo token" prints the main one, "tomo token add" makes a named one; send either as Authorization: Bearer TOKEN.';
  response.writeHead(401, { 'WWW-Authenticate': 'Bearer', 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32_001, message }, id: null }));
}
