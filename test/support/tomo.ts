import { chownSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type ClientKind, connectClient, type Target, type TestClient } from './mcp-client.ts';
import { freePort, type Program, type Started, TOMO } from './processes.ts';

export const TEST_TOKEN = 'test-token-test-token-test-token-test';

const installSchema = z.object({ agent_id: z.string(), registration_code: z.string() });

/** A `tomo serve` process with its own data directory and port. */
export interface TomoServer {
  readonly program: Program;
  readonly dataDir: string;
  readonly port: number;
  readonly url: string;
  /** For clients over HTTP. */
  readonly http: Target;
  /** For clients over stdio beside it. */
  readonly stdio: Target;
  /** The flags that make another process a sibling of this one. */
  readonly flags: string[];
}

export interface ServerOptions {
  readonly dataDir?: string;
  readonly port?: number;
  readonly args?: string[];
  readonly env?: Record<string, string>;
  /** Another user to run it as. */
  readonly uid?: number;
  /** Whether `args` give it TLS. */
  readonly tls?: boolean;
  /** Where it listens, if `args` say otherwise than this machine's own address. */
  readonly address?: string;
}

export async function startServer(
  started: Started,
  options: ServerOptions = {},
): Promise<TomoServer> {
  const dataDir = options.dataDir ?? started.directory();
  const port = options.port ?? (await freePort());
  const flags = ['--data-dir', dataDir, '--port', String(port)];
  const env = { TOMO_TOKEN: TEST_TOKEN, ...options.env };
  const user = options.uid === undefined ? {} : { uid: options.uid };
  if (options.uid !== undefined) chownSync(dataDir, options.uid, options.uid);
  const program = started.tomo(['serve', ...flags, ...(options.args ?? [])], env, user);
  await program.line('joined the data directory');
  const url = `${options.tls === true ? 'https' : 'http'}://${options.address ?? '127.0.0.1'}:${port}`;
  return {
    program,
    dataDir,
    port,
    url,
    flags,
    http: { url: `${url}/mcp`, token: TEST_TOKEN },
    stdio: { command: process.execPath, args: [TOMO, ...flags], env },
  };
}

/** Another user to run an agent as. */
export interface AgentUser {
  readonly uid?: number;
}

/** Installs an agent through a client and starts it as a plain process; resolves when it is connected. */
export async function startAgent(
  started: Started,
  server: Pick<TomoServer, 'url'>,
  client: TestClient,
  serverId: string,
  env: Record<string, string> = {},
  user: AgentUser = {},
): Promise<Program> {
  const { structuredContent } = await client.callTool('install_agent', { server_id: serverId });
  const { registration_code } = installSchema.parse(structuredContent);
  const directory = started.directory();
  if (user.uid !== undefined) chownSync(directory, user.uid, user.uid);
  const variables = {
    SERVER_URL: `${server.url.replace('http', 'ws')}/ws/agent`,
    REGISTER_CODE: registration_code,
    DATA_DIR: join(directory, 'agent'),
    ...env,
  };
  const agent = started.agent(variables, user);
  await agent.line('"connected"');
  return agent;
}

/** A token of its own for a server's data directory, as a user makes one. */
export async function addToken(
  started: Started,
  { dataDir }: Pick<TomoServer, 'dataDir'>,
  name: string,
  access: string,
): Promise<string> {
  const args = ['token', 'add', name, '--access', access, '--data-dir', dataDir];
  const program = started.tomo(args);
  if ((await program.ended) !== 0) throw new Error(program.log());
  return program.output().trim();
}

/** A client that is closed with the test. */
export async function connect(
  started: Started,
  kind: ClientKind,
  target: Target,
): Promise<TestClient> {
  const client = await connectClient(kind, target);
  started.defer(() => client.close());
  return client;
}
