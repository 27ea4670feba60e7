import type { Agent, ClientRequest } from 'node:http';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { readCaCertificates } from './ca-certificates.ts';
import { pinCertificate } from './certificate-pin.ts';
import type { HubAddress } from './hub-address.ts';
import type { HubProxy } from './hub-proxy.ts';

/** How one connection gets to the hub. */
export interface HubRoute {
  /** For WebSockets and for HTTP requests alike. */
  readonly options: {
    readonly agent?: Agent;
    readonly secureContext?: SecureContext;
    readonly rejectUnauthorized?: false;
  };
  /** To be called with the request before it is sent. */
  watch(request: ClientRequest): void;
  /** The failure of that request, with what a person needs to mend it. */
  explain(error: unknown): unknown;
  /** To be called when the connection failed. */
  close(): void;
}

export interface HubTransportOptions {
  /** PEM text, or the path of a file of it. */
  readonly caCert?: string | undefined;
  /** Whether the environment names a proxy for anything. */
  readonly usesProxy?: boolean;
}

const UNTRUSTED_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** The ways to the hub: whom to trust on them, and the proxy if there is one. */
export class HubTransport {
  readonly #secureContext: SecureContext | undefined;
  readonly #usesProxy: boolean;

  /** Throws ConfigurationError. */
  constructor({ caCert, usesProxy = false }: HubTransportOptions = {}) {
    this.#usesProxy = usesProxy;
    this.#secureContext =
      caCert === undefined
        ? undefined
        : createSecureContext({
            ca: [...getCACertificates('default'), ...readCaCertificates(caCert)],
          });
  }

  /** @throws ProxyError if the proxy that the environment names cannot be one. */
  async route({ url, fingerprint }: Pick<HubAddress, 'url' | 'fingerprint'>): Promise<HubRoute> {
    const hub = new URL(url.replace(/^ws/i, 'http'));
    const proxy = await this.#proxy(hub);
    return {
      options: {
        ...(proxy && { agent: proxy.agent }),
        ...(this.#secureContext && { secureContext: this.#secureContext }),
        // The pin says more than any CA can.
        ...(fingerprint !== undefined && { rejectUnauthorized: false }),
      },
      watch: (request) => {
        proxy?.watch(request);
        if (fingerprint !== undefined) pinCertificate(request, fingerprint, hub.host);
      },
      explain: (error) => withAdvice(proxy === undefined ? error : proxy.explain(error)),
      close: () => {
        proxy?.close();
      },
    };
  }

  async #proxy(hub: URL): Promise<HubProxy | undefined> {
    if (!this.#usesProxy) return undefined;
    // Its libraries are loaded by the agents that need them only.
    const { proxyFor } = await import('./hub-proxy.ts');
    return proxyFor(hub, this.#secureContext);
  }
}

function withAdvice(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  if (typeof error.code !== 'string' || !UNTRUSTED_CODES.has(error.code)) return error;
  const advice = 'set CA_CERT to the CA that signed it, or SERVER_FINGERPRINT to its fingerprint';
  return new Error(`The hub’s certificate is not trusted (${error.message}): ${advice}.`, {
    cause: error,
  });
}
