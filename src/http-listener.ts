import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import {
  CONNECTIONS_MAX_COUNT,
  HTTP_HEADERS_TIMEOUT_MS,
  HTTP_REQUEST_TIMEOUT_MS,
} from '../protocol/limits.ts';
import { refuseUpgrade } from './agent-hub/refuse-upgrade.ts';
import { StartError } from './start-error.ts';
import { CertificateWatch } from './tls/certificate-watch.ts';
import type { ServerCertificate } from './tls/server-certificate.ts';

const MCP_PATH = '/mcp';
const AGENT_PATH = '/ws/agent';
/** How often connections are looked at for the limits above. */
const CONNECTIONS_CHECK_MS = 1_000;
/** Dropped connections are told of at most so often. */
const DROP_SAID_EVERY_MS = 60_000;

export interface Routes {
  mcp(request: IncomingMessage, response: ServerResponse): Promise<void>;
  agent(request: IncomingMessage, stream: Duplex, head: Buffer): void;
  ready(): boolean;
  /** Prometheus text; answers 401 by itself where the caller may not see it. */
  metrics(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate?: ServerCertificate | undefined;
  /** http(s) base URL of this server: its path may stand before the paths here, or not. */
  readonly publicUrl?: string | undefined;
  readonly log: Logger;
  readonly limits?: Partial<ConnectionLimits>;
}

interface ConnectionLimits {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly connections: number;
}

/** The one port: MCP for people's programs, WebSocket for agents, health for watchers. */
export class HttpListener implements AsyncDisposable {
  /** Base URL of what is listening, such as `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly #server: Server;
  readonly #watch: CertificateWatch | undefined;
  #fingerprint: string | undefined;

  /** Takes the port. Throws StartError (exit 1) if it cannot. */
  static async listen(options: ListenOptions, routes: () => Routes): Promise<HttpListener> {
    const base = basePath(options.publicUrl);
    const server = newServer(options, base);
    server.on('request', (request, response) => {
      respond(routes(), pathOf(request, base), request, response).catch((error: unknown) => {
        options.log.error({ err: error, url: request.url }, 'request failed');
        if (response.headersSent) response.destroy();
        else plain(response, 500, 'Internal error; the cause is in the log.\n');
      });
    });
    server.on('upgrade', (request, stream, head) => {
      upgrade(routes(), pathOf(request, base), request, stream, head);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(cannotListen(options, error)));
      server.listen(options.port, options.host, resolve);
    });
    return new HttpListener(server, options);
  }

  private constructor(server: Server, { host, certificate: tls, log }: ListenOptions) {
    this.#server = server;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a listening TCP server has an AddressInfo
    const { port } = server.address() as AddressInfo;
    this.url = `${tls === undefined ? 'http' : 'https'}://${dialable(host)}:${port}`;
    this.#fingerprint = tls?.certificate.fingerprint;
    if (tls === undefined) return;
    this.#watch = new CertificateWatch({
      ...tls,
      log,
      onChange: ({ cert, key, fingerprint }) => {
        if (server instanceof TlsServer) server.setSecureContext({ cert, key });
        this.#fingerprint = fingerprint;
        log.info({ fingerprint }, 'the new TLS certificate is in force');
      },
    });
  }

  /** SHA-256 of the certificate that is served now; undefined without TLS. */
  get fingerprint(): string | undefined {
    return this.#fingerprint;
  }

  /** Frees the port at once; connections that are still open are cut. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function newServer({ certificate: tls, limits = {}, log }: ListenOptions, base: string): Server {
  const headersTimeout = limits.headersMs ?? HTTP_HEADERS_TIMEOUT_MS;
  const options = {
    headersTimeout,
    requestTimeout: limits.requestMs ?? HTTP_REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
    // An upgrade that nobody here offers may be ignored (RFC 9110, section 7.8).
    shouldUpgradeCallback: (request: IncomingMessage) => pathOf(request, base) === AGENT_PATH,
  };
  const server = tls === undefined ? createServer(options) : newTlsServer(options, tls);
  server.maxConnections = limits.connections ?? CONNECTIONS_MAX_COUNT;
  let saidAt = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    if (performance.now() - saidAt < DROP_SAID_EVERY_MS) return;
    saidAt = performance.now();
    log.warn({ connections: server.maxConnections }, 'too many connections; new ones are dropped');
  });
  return server;
}

function newTlsServer(options: { headersTimeout: number }, tls: ServerCertificate): Server {
  const { cert, key } = tls.certificate;
  // Who does not finish the TLS handshake never comes under the limits of HTTP.
  return createTlsServer({ ...options, handshakeTimeout: options.headersTimeout, cert, key });
}

/** An address of all interfaces is none that anybody can dial: loopback is one of them. */
function dialable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function basePath(publicUrl: string | undefined): string {
  return publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/+$/, '');
}

async function respond(
  routes: Routes,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  switch (path) {
    case MCP_PATH:
      return routes.mcp(request, response);
    case '/healthz':
      return plain(response, 200, 'ok\n');
    case '/readyz':
      return routes.ready() ? plain(response, 200, 'ready\n') : plain(response, 503, 'not ready\n');
    case '/metrics':
      return routes.metrics(request, response);
    default:
      return plain(response, 404, `Tomo: MCP clients use ${MCP_PATH}, agents ${AGENT_PATH}.\n`);
  }
}

function upgrade(
  routes: Routes,
  path: string,
  request: IncomingMessage,
  stream: Duplex,
  head: Buffer,
): void {
  stream.on('error', () => stream.destroy());
  if (path === AGENT_PATH) routes.agent(request, stream, head);
  else refuseUpgrade(stream, '404 Not Found');
}

/** The path as it is here: proxies take the base path off, or leave it. */
function pathOf(request: IncomingMessage, base: string): string {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  return path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text);
}

function cannotListen({ host, port }: ListenOptions, error: Error): StartError {
  const code = 'code' in error ? error.code : undefined;
  const cause =
    code === 'EADDRINUSE'
      ? `port ${port} of ${host} is taken by another program; end it or choose another --port`
      : code === 'EACCES'
        ? `port ${port} may not be used by this user; choose a --port of 1024 or more`
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? `this machine has no address ${host}; choose another --host`
          : `cannot listen on ${host} port ${port}: ${error.message}`;
  return new StartError(`tomo: ${cause}`, 1, error);
}
