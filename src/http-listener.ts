import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Serving } from './fleet/operations.ts';
import { StartError } from './start-error.ts';

const MCP_PATH = '/mcp';
const AGENT_PATH = '/ws/agent';
/** A client that does not send its headers within this time is cut off. */
const HEADERS_TIMEOUT_MS = 10_000;

export interface Routes {
  mcp(request: IncomingMessage, response: ServerResponse): Promise<void>;
  agent(request: IncomingMessage, stream: Duplex, head: Buffer): void;
  ready(): boolean;
  /** Prometheus text; answers 401 by itself where the caller may not see it. */
  metrics(request: IncomingMessage, response: ServerResponse): void;
}

type Address = Pick<Serving, 'host' | 'port' | 'tlsCert' | 'tlsKey'>;

/** The one port: MCP for people's programs, WebSocket for agents, health for watchers. */
export class HttpListener implements AsyncDisposable {
  /** Base URL of what is listening, such as `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly #server: Server;

  /** Takes the port. Throws StartError (exit 1) if it cannot. */
  static async listen(address: Address, routes: () => Routes): Promise<HttpListener> {
    const server = newServer(address);
    server.on('request', (request, response) => void respond(routes(), request, response));
    server.on('upgrade', (request, stream, head) => upgrade(routes(), request, stream, head));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(cannotListen(address, error)));
      server.listen(address.port, address.host, resolve);
    });
    return new HttpListener(server, address);
  }

  private constructor(server: Server, { host, tlsCert }: Address) {
    this.#server = server;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a listening TCP server has an AddressInfo
    const { port } = server.address() as AddressInfo;
    const name = host.includes(':') ? `[${host}]` : host;
    this.url = `${tlsCert === undefined ? 'http' : 'https'}://${name}:${port}`;
  }

  /** Frees the port at once; connections that are still open are cut. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

const SERVER_OPTIONS = {
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: 1_000,
  // An upgrade that nobody here offers may be ignored (RFC 9110, section 7.8).
  shouldUpgradeCallback: (request: IncomingMessage): boolean => pathOf(request) === AGENT_PATH,
};

function newServer({ tlsCert, tlsKey }: Address): Server {
  if (tlsCert === undefined || tlsKey === undefined) return createServer(SERVER_OPTIONS);
  try {
    const files = { cert: readFileSync(tlsCert), key: readFileSync(tlsKey) };
    return createTlsServer({ ...SERVER_OPTIONS, ...files });
  } catch (error) {
    throw new StartError(
      `tomo: --tls-cert ${tlsCert} and --tls-key ${tlsKey} cannot be used: ${String(error)}`,
      1,
      error,
    );
  }
}

async function respond(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  switch (pathOf(request)) {
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

function upgrade(routes: Routes, request: IncomingMessage, stream: Duplex, head: Buffer): void {
  stream.on('error', () => stream.destroy());
  if (pathOf(request) === AGENT_PATH) routes.agent(request, stream, head);
  else refuseUpgrade(stream, '404 Not Found');
}

/** Answers an upgrade with a status and closes: ended only, it would stay half open as long as the peer likes. */
export function refuseUpgrade(stream: Duplex, status: string): void {
  stream.once('finish', () => stream.destroy());
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text);
}

function cannotListen({ host, port }: Address, error: Error): StartError {
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
