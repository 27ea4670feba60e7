import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Access } from '../protocol/access.ts';
import { AgentHub } from './agent-hub/agent-hub.ts';
import type { Config } from './config.ts';
import { openDatabase, type TomoDatabase } from './db/database.ts';
import { DatabaseError } from './db/errors.ts';
import { Housekeeping } from './fleet/housekeeping.ts';
import { LocalFleet } from './fleet/local-fleet.ts';
import type { Owner } from './fleet/shared-fleet.ts';
import { HttpListener, type Routes, refuseUpgrade } from './http-listener.ts';
import { bearerMatches } from './mcp/bearer-token.ts';
import { McpHttp } from './mcp/http.ts';
import { prometheusText } from './prometheus.ts';
import { StartError } from './start-error.ts';

const DATABASE_FILE = 'tomo.db';
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

export interface OwnerOptions {
  readonly config: Config;
  /** The MCP bearer token. */
  readonly token: string;
  readonly log: Logger;
}

/** Database, hub, MCP endpoint and port of a data directory, whose lock the caller holds. */
export async function startOwner({ config, token, log }: OwnerOptions): Promise<Owner> {
  const db = await openDatabaseOf(config.dataDir);
  try {
    return await startServing({ config, token, log }, db);
  } catch (error) {
    db.close();
    throw error;
  }
}

async function startServing(
  { config, token, log }: OwnerOptions,
  db: TomoDatabase,
): Promise<Owner> {
  const hub = new AgentHub({ db, log });
  await hub.start();
  await db.commands.loseRunning(Date.now());
  // Assigned before the first request can be read: listening resolves on a later turn.
  let routes: Routes | undefined;
  const listener = await HttpListener.listen(config, () => routes ?? NOT_READY);
  const ceiling: Access = config.readOnly ? 'read' : 'admin';
  const publicUrl = config.publicUrl ?? reachableUrl(config, listener.url);
  const fleet = new LocalFleet({ db, hub, publicUrl, url: listener.url, log });
  const mcp = new McpHttp({
    fleet,
    actor: 'http',
    access: ceiling,
    log,
    token,
    hostNames: [...LOOPBACK_NAMES, hostName(listener.url), hostName(publicUrl)],
  });
  const housekeeping = new Housekeeping(db, log);
  routes = {
    mcp: (request, response) => mcp.handle(request, response),
    agent: (request, stream, head) => hub.accept(request, stream, head),
    ready: () => true,
    metrics: (request, response) => {
      const allowed = bearerMatches(request.headers.authorization, token);
      response.writeHead(allowed ? 200 : 401, { 'Content-Type': 'text/plain; version=0.0.4' });
      response.end(allowed ? prometheusText(hub.counters) : 'Bearer token missing or wrong.\n');
    },
  };
  log.info({ url: listener.url, public_url: publicUrl }, 'hub is listening');
  return {
    fleet,
    ceiling,
    stop: () => hub.close(),
    close: async () => {
      housekeeping[Symbol.dispose]();
      await mcp[Symbol.asyncDispose]();
      hub.terminate();
      await listener[Symbol.asyncDispose]();
      db.close();
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

async function openDatabaseOf(dataDir: string): Promise<TomoDatabase> {
  try {
    return await openDatabase({
      file: join(dataDir, DATABASE_FILE),
      migrationsDir: migrationsDir(),
    });
  } catch (error) {
    if (error instanceof DatabaseError) throw explainDatabase(dataDir, error);
    throw error;
  }
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
function reachableUrl({ host }: Config, url: string): string {
  if (host !== '0.0.0.0' && host !== '::') return url;
  const named = new URL(url);
  named.hostname = hostname();
  return named.origin;
}

function hostName(url: string): string {
  return new URL(url).hostname;
}
