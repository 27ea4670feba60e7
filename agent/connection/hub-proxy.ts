import type { Agent, ClientRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { checkServerIdentity, type SecureContext } from 'node:tls';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { z } from 'zod';

/** The proxy is not to be used, was not reached, or refused; the message names it without its password. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
}

export interface HubProxy {
  readonly agent: Agent;
  /** Ends the request with a ProxyError if the proxy refuses. */
  watch(request: ClientRequest): void;
  /** The failure of a request, as what it is if the proxy never opened the way. */
  explain(error: unknown): unknown;
  /** Lets go of a proxy that has not answered. */
  close(): void;
}

const answerSchema = z.object({ statusCode: z.number(), statusText: z.string() });
const LOOPBACK = /^(?:(?:.+\.)?localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const PROXY_PROTOCOLS = new Set(['http:', 'https:']);
const DEFAULT_PORTS = new Map([
  ['http:', 80],
  ['https:', 443],
]);

/**
 * The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for this URL, or undefined.
 * @param secureContext whose certificates are trusted for a proxy that is itself reached over TLS
 * @throws ProxyError
 */
export function proxyFor(url: URL, secureContext: SecureContext | undefined): HubProxy | undefined {
  const given = getProxyForUrl(url.href);
  if (given === '') return undefined;
  // Never shown: it may hold a password.
  if (!URL.canParse(given)) throw new ProxyError('The proxy in the environment is no URL.');
  const proxy = new URL(given);
  // A proxy elsewhere would look for the hub on its own machine.
  if (isLoopback(url) && !isLoopback(proxy)) return undefined;
  const name = `proxy ${proxy.protocol}//${proxy.host}`;
  if (!PROXY_PROTOCOLS.has(proxy.protocol)) {
    throw new ProxyError(
      `The ${name} is of a kind that is not supported; use http:// or https://.`,
    );
  }
  return useProxy(proxy, name, url, secureContext);
}

function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.test(hostname);
}

function useProxy(
  proxy: URL,
  name: string,
  url: URL,
  secureContext: SecureContext | undefined,
): HubProxy {
  const headers = authorization(proxy);
  const closing = new AbortController();
  const agent = new TunnelAgent(new URL(proxy.origin), url, {
    headers,
    ...(secureContext && { secureContext }),
    ...underlying(proxy, closing.signal),
  });
  let isOpen = false;
  return {
    agent,
    watch: (request) => {
      request.once('proxyConnect', (answer: unknown) => {
        isOpen = true;
        const { statusCode, statusText } = answerSchema.parse(answer);
        if (statusCode !== 200) request.destroy(refusal(name, statusCode, statusText, url.host));
      });
    },
    explain: (error) => {
      if (isOpen || error instanceof ProxyError) return error;
      const reason = error instanceof Error ? error.message : String(error);
      return new ProxyError(`The ${name} opened no way to ${url.host}: ${reason}`, {
        cause: error,
      });
    },
    close: () => {
      if (!isOpen) closing.abort();
    },
  };
}

/** Verifies the hub's certificate for the hub's name: without it, an address is taken for the proxy's. */
class TunnelAgent extends HttpsProxyAgent<string> {
  readonly #hubHost: string;

  constructor(proxy: URL, hub: URL, options: object) {
    super(proxy, options);
    this.#hubHost = hub.hostname.replaceAll(/[[\]]/g, '');
  }

  override async connect(
    ...[request, options]: Parameters<HttpsProxyAgent<string>['connect']>
  ): Promise<Socket> {
    const identity = {
      checkServerIdentity: (
        _name: string,
        certificate: Parameters<typeof checkServerIdentity>[1],
      ) => checkServerIdentity(this.#hubHost, certificate),
    };
    return await super.connect(request, { ...options, ...identity });
  }
}

/** What makes the connection to the proxy end with the signal. */
function underlying({ protocol, hostname, port }: URL, signal: AbortSignal): object {
  if (protocol === 'http:') return { signal };
  const host = hostname.replaceAll(/[[\]]/g, '');
  const socket = connect({ host, port: Number(port || DEFAULT_PORTS.get(protocol)), signal });
  // TLS tells of its end; the abort itself would go unheard.
  socket.on('error', () => undefined);
  return { socket };
}

/** Apart from the URL, which the library writes to its debug output. */
function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const plain = `${decode(username)}:${decode(password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(plain).toString('base64')}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function refusal(name: string, status: number, text: string, hub: string): ProxyError {
  const next =
    status === 407
      ? 'Put the user name and the password it wants into its URL: http://USER:PASSWORD@HOST:PORT'
      : 'Look at what it lets through, or name the hub in NO_PROXY';
  return new ProxyError(`The ${name} refused to connect to ${hub} (${status} ${text}). ${next}.`);
}
