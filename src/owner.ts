import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Access } from '../protocol/access.ts';
import { AgentHub } from './agent-hub/agent-hub.ts';
import { openDatabase, type TomoDatabase } from './db/database.ts';
import { DatabaseError } from './db/errors.ts';
import { Audit } from './fleet/audit.ts';
import { Housekeeping } from './fleet/housekeeping.ts';
import { LocalFleet } from './fleet/local-fleet.ts';
import type { Owner } from './fleet/membership.ts';
import type { OwnerInfo, Serving } from './fleet/operations.ts';
import { HttpListener, type Routes, refuseUpgrade } from './http-listener.ts';
import { bearerMatches } from './mcp/bearer-token.ts';
import { McpHttp } from './mcp/http.ts';
import { prometheusText } from './prometheus.ts';
import { StartError } from './start-error.ts';

const DATABASE_FILE = 'tomo.db';
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
  // Taken before anything else, so that a port that cannot be had leaves nothing behind. Routes are
  // assigned before the first request can be read by them.
  let routes = NOT_READY;
  const listener = await HttpListener.listen(options.serving, () => routes);
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
  { kind, serving, handOver, log }: OwnerOptions,
  listener: HttpListener,
  db: TomoDatabase,
): Promise<Parts> {
  const hub = new AgentHub({ db, log });
  const audit = new Audit(db.commands, log);
  try {
    await hub.start();
    await db.commands.loseRunning(Date.now());
  } catch (error) {
    await hub.close();
    db.close();
    throw error;
  }
  const ceiling: Access = serving.readOnly ? 'read' : 'admin';
  const publicUrl = serving.publicUrl ?? reachableUrl(serving.host, listener.url);
  const owner = { pid: process.pid, kind, url: listener.url, serving };
  const fleet = new LocalFleet({ db, hub, audit, publicUrl, owner, handOver, log });
  const mcp = new McpHttp({
    fleet,
    actor: 'http',
    access: ceiling,
    log,
    tokenHash: serving.tokenHash,
    hostNames: [...LOOPBACK_NAMES, hostName(listener.url), hostName(publicUrl)],
  });
  const housekeeping = new Housekeeping(db, log);
  const stop = async (): Promise<void> => {
    await Promise.all([hub.close(), fleet.endInstallations()]);
  };
  const close = async (): Promise<void> => {
    housekeeping[Symbol.dispose]();
    await mcp[Symbol.asyncDispose]();
    hub.terminate();
    await listener[Symbol.asyncDispose]();
    await audit[Symbol.asyncDispose]();
    db.close();
  };
  return {
    routes: routesOf(hub, mcp, serving.tokenHash),
    publicUrl,
    owner: { fleet, ceiling, isInstalling: () => fleet.isInstalling, stop, close },
  };
}

function routesOf(hub: AgentHub, mcp: McpHttp, tokenHash: string): Routes {
  return {
    mcp: (request, response) => mcp.handle(request, response),
    agent: (request, stream, head) => hub.accept(request, stream, head),
    ready: () => true,
    metrics: (request, response) => {
      const allowed = bearerMatches(request.headers.authorization, tokenHash);
      response.writeHead(allowed ? 200 : 401, { 'Content-Type': 'text/plain; version=0.0.4' });
      response.end(allowed ? prometheusText(hub.counters) : 'Bearer token missing or wrong.\n');
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
  metrics: (_request, response) => response.writeHead(503).end(),
};

function openDatabaseOf(dataDir: string): Promise<TomoDatabase> {
  return openDatabase({ file: join(dataDir, DATABASE_FILE), migrationsDir: migrationsDir() });
}

/** What the database refuses as something a person can act on; anything else as it is. */
function explained(dataDir: string, error: unknown): unknown {
  return error instanceof DatabaseError ? explainDatabase(dataDir, error) : error;
}

function migrationsDir(): string {
  return fileURLToPath(new URL('../drizzle', import.meta.url));
}

function explainDatabase(dataDir: string, error: DatabaseError): StartError {
  const file = join(dataDir, DATABASE_FILE);
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
