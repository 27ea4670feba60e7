import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Access } from '../protocol/access.ts';
import { RESULTS_KEPT_MAX_BYTES } from '../protocol/limits.ts';
import { AgentHub } from './agent-hub/agent-hub.ts';
import { clientAddressOf } from './agent-hub/client-address.ts';
import { refuseUpgrade } from './agent-hub/refuse-upgrade.ts';
import { databaseFile, migrationsDir } from './database-file.ts';
import { openDatabase, type TomoDatabase } from './db/database.ts';
import { DatabaseError } from './db/errors.ts';
import { Audit } from './fleet/audit.ts';
import { Housekeeping } from './fleet/housekeeping.ts';
import { LocalFleet } from './fleet/local-fleet.ts';
import type { Owner } from './fleet/membership.ts';
import type { OwnerInfo, Serving } from './fleet/operations.ts';
import { TokenRotation } from './fleet/token-rotation.ts';
import { HttpListener, type Routes } from './http-listener.ts';
import { AccessTokens } from './mcp/access-tokens.ts';
import { McpHttp } from './mcp/http.ts';
import type { ExpositionSource, PrometheusExposition } from './prometheus.ts';
import { StartError } from './start-error.ts';
import { serverCertificate } from './tls/server-certificate.ts';

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

export interface OwnerOptions {
  readonly dataDir: string;
  readonly kind: OwnerInfo['kind'];
  readonly serving: Serving;
  readonly handOver: () => void;
  readonly log: Logger;
}

/** Database, hub, MCP endpoint and port of a data directory, whose lock the caller holds. */
export async function startOwner(options: OwnerOptions): Promise<Owner> {
  const { dataDir, serving, log } = options;
  const certificate = await serverCertificate(dataDir, serving, log);
  // Taken before anything else, so that a port that cannot be had leaves nothing behind. Routes are
  // assigned before the first request can be read by them.
  let routes = NOT_READY;
  const listener = await HttpListener.listen({ ...serving, certificate, log }, () => routes);
  try {
    const db = await openDatabaseOf(options.dataDir);
    const parts = await startParts(options, listener, db);
    routes = parts.routes;
    options.log.info({ url: listener.url, public_url: parts.publicUrl }, 'hub is listening');
    return parts.owner;
  } catch (error) {
    await listener[Symbol.asyncDispose]();
    throw explained(options.dataDir, error);
  }
}

interface Parts {
  readonly routes: Routes;
  readonly publicUrl: string;
  readonly owner: Owner;
}

async function startParts(
  { dataDir, kind, serving, handOver, log }: OwnerOptions,
  listener: HttpListener,
  db: TomoDatabase,
): Promise<Parts> {
  const clientAddress = clientAddressOf(serving.trustedProxies);
  const hub = new AgentHub({ db, log, clientAddress });
  const audit = new Audit(db.commands, log);
  try {
    await hub.start();
  } catch (error) {
    await hub.close();
    db.close();
    throw error;
  }
  const ceiling: Access = serving.readOnly ? 'read' : 'admin';
  const publicUrl = serving.publicUrl ?? reachableUrl(serving.host, listener.url);
  const owner = ownerInfo(kind, serving, listener);
  const fingerprint = agentsPin(serving, listener);
  const fleet = new LocalFleet({ db, hub, audit, publicUrl, fingerprint, owner, handOver, log });
  const tokens = new AccessTokens(dataDir, serving.tokenHash);
  const mcp = new McpHttp({
    fleet,
    tokens,
    giveUpRuns: (isAccepted) => fleet.giveUpRuns(isAccepted),
    ceiling,
    hostNames: [...LOOPBACK_NAMES, serving.host, hostName(listener.url), hostName(publicUrl)],
    clientAddress,
    log,
  });
  const exposition = new LateExposition({ hub, db });
  const housekeeping = new Housekeeping(db, log);
  const tokenRotation = new TokenRotation({ db, hub, log });
  const stop = async (): Promise<void> => {
    tokenRotation[Symbol.dispose]();
    await Promise.all([hub.close(), fleet.endInstallations()]);
  };
  const close = async (): Promise<void> => {
    housekeeping[Symbol.dispose]();
    exposition[Symbol.dispose]();
    await mcp[Symbol.asyncDispose]();
    hub.terminate();
    await listener[Symbol.asyncDispose]();
    await audit[Symbol.asyncDispose]();
    db.close();
  };
  return {
    routes: routesOf(hub, { mcp, tokens, exposition }),
    publicUrl,
    owner: { fleet, ceiling, isInstalling: () => fleet.isInstalling, stop, close },
  };
}

function ownerInfo(kind: OwnerInfo['kind'], serving: Serving, listener: HttpListener): OwnerInfo {
  const { url } = listener;
  return {
    pid: process.pid,
    kind,
    url,
    serving,
    // A certificate that is renewed has another one.
    get fingerprint() {
      return listener.fingerprint;
    },
  };
}

/**
 * The certificate that agents are to hold Tomo to: its own, which no CA vouches for. Not one that a CA
 * renews; null if they reach Tomo through a proxy, whose certificate they see instead.
 */
function agentsPin(serving: Serving, listener: HttpListener): string | null | undefined {
  if (!serving.tlsSelfSigned) return undefined;
  const throughProxy = serving.publicUrl !== undefined && serving.trustedProxies.length > 0;
  return throughProxy ? null : listener.fingerprint;
}

/** Its library is loaded when somebody asks: most hubs are never scraped. */
class LateExposition implements Disposable {
  readonly #source: ExpositionSource;
  #loaded: Promise<PrometheusExposition> | undefined;
  #exposition: PrometheusExposition | undefined;

  constructor(source: ExpositionSource) {
    this.#source = source;
  }

  async text(): Promise<string> {
    this.#loaded ??= this.#load();
    return await (await this.#loaded).text();
  }

  [Symbol.dispose](): void {
    this.#exposition?.[Symbol.dispose]();
  }

  async #load(): Promise<PrometheusExposition> {
    const { PrometheusExposition: Exposition } = await import('./prometheus.ts');
    this.#exposition = new Exposition(this.#source);
    return this.#exposition;
  }
}

interface RouteParts {
  readonly mcp: McpHttp;
  readonly tokens: AccessTokens;
  readonly exposition: LateExposition;
}

function routesOf(hub: AgentHub, { mcp, tokens, exposition }: RouteParts): Routes {
  return {
    mcp: (request, response) => mcp.handle(request, response),
    agent: (request, stream, head) => hub.accept(request, stream, head),
    ready: () => true,
    metrics: async (request, response) => {
      const allowed = tokens.match(request.headers.authorization) !== undefined;
      const text = allowed ? await exposition.text() : 'Bearer token missing or wrong.\n';
      response.writeHead(allowed ? 200 : 401, { 'Content-Type': 'text/plain; version=0.0.4' });
      response.end(text);
    },
  };
}

const NOT_READY: Routes = {
  mcp: (_request, response) => {
    response.writeHead(503).end();
    return Promise.resolve();
  },
  agent: (_request, stream) => refuseUpgrade(stream, '503 Service Unavailable'),
  ready: () => false,
  metrics: (_request, response) => {
    response.writeHead(503).end();
    return Promise.resolve();
  },
};

function openDatabaseOf(dataDir: string): Promise<TomoDatabase> {
  return openDatabase({
    file: databaseFile(dataDir),
    migrationsDir: migrationsDir(),
    resultsMaxBytes: RESULTS_KEPT_MAX_BYTES,
  });
}

/** What the database refuses as something a person can act on; anything else as it is. */
function explained(dataDir: string, error: unknown): unknown {
  return error instanceof DatabaseError ? explainDatabase(dataDir, error) : error;
}

function explainDatabase(dataDir: string, error: DatabaseError): StartError {
  const file = databaseFile(dataDir);
  const cause =
    error.code === 'newer'
      ? `the database ${file} was made by a newer Tomo; update this one, or restore the backup beside the database`
      : error.code === 'corrupt'
        ? `the database ${file} is damaged; move it away and restore a backup`
        : `the database ${file} cannot be opened (${error.code}); check the directory's permissions and free space, or choose another --data-dir`;
  return new StartError(`tomo: ${cause}`, 1, error);
}

/** An address of all interfaces is none that anybody can dial: the machine's name stands for it. */
function reachableUrl(host: string, url: string): string {
  if (host !== '0.0.0.0' && host !== '::') return url;
  const named = new URL(url);
  named.hostname = hostname();
  return named.origin;
}

function hostName(url: string): string {
  return new URL(url).hostname;
}
