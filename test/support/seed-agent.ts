import { spawnSync } from 'node:child_process';
import { on, once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';

/**
 * An agent that speaks only what the first deployment's document shows, run as a process of its own:
 * no optional fields, one command after the other, each of which blocks it until it is done.
 */

interface Config {
  metrics_interval: number;
  health_interval: number;
}

type Params = Record<string, unknown>;
type Messages = AsyncIterableIterator<unknown[]>;

const VERSION = '1.0.0';
const STARTED_AT = Date.now();
const { SERVER_URL = '', REGISTER_CODE, DATA_DIR = '/data' } = process.env;
const STATE_FILE = join(DATA_DIR, 'agent.json');

let agentId: string | null = null;

const METHODS: Readonly<Record<string, (params: Params) => unknown>> = {
  'agent.ping': () => ({ status: 'ok', version: VERSION, agent_id: agentId }),
  'system.info': () => ({
    os: 'Linux',
    kernel: release(),
    arch: process.arch,
    hostname: hostname(),
    docker_version: 'unknown',
  }),
  'system.exec': ({ command, timeout = 60 }) => execute(String(command), Number(timeout)),
  'system.get_metrics': getMetrics,
  'metrics.get': getMetrics,
  'config.update': () => ({ status: 'ok' }),
};

await run();

async function run(): Promise<void> {
  let backoff = 1;
  for (;;) {
    if (await session()) backoff = 1;
    await sleep(backoff * 1_000);
    backoff = Math.min(backoff * 2, 60);
  }
}

/** One connection; true if it authenticated. */
async function session(): Promise<boolean> {
  const socket = new WebSocket(SERVER_URL);
  const messages = on(socket, 'message', { close: ['close'] });
  try {
    await once(socket, 'open');
    const config = await authenticate(socket, messages);
    if (config === undefined) socket.close();
    else await serve(socket, messages, config);
    return config !== undefined;
  } catch {
    return false;
  }
}

async function serve(socket: WebSocket, messages: Messages, config: Config): Promise<void> {
  const send = (method: string, params: Params): void =>
    socket.send(JSON.stringify({ jsonrpc: '2.0', method, params }));
  const collectors = [
    setInterval(() => send('metrics.update', getMetrics()), config.metrics_interval * 1_000),
    setInterval(() => send('health.status', health()), config.health_interval * 1_000),
  ];
  try {
    for await (const [data] of messages) socket.send(handle(String(data)));
  } finally {
    for (const collector of collectors) clearInterval(collector);
  }
}

async function authenticate(socket: WebSocket, messages: Messages): Promise<Config | undefined> {
  const token = storedToken();
  socket.send(
    JSON.stringify(
      token === undefined
        ? { type: 'register', code: REGISTER_CODE, version: VERSION }
        : { type: 'authenticate', token, version: VERSION },
    ),
  );
  const { value } = await messages.next();
  const response = JSON.parse(String(value[0])) as Params & { config: Config };
  if (response['type'] !== 'registered' && response['type'] !== 'authenticated') return undefined;
  agentId = String(response['agent_id']);
  if (response['type'] === 'registered') {
    const state = { agent_id: agentId, token: response['token'], server_url: SERVER_URL };
    writeFileSync(STATE_FILE, JSON.stringify(state));
  }
  return response.config;
}

function storedToken(): string | undefined {
  if (!existsSync(STATE_FILE)) return undefined;
  const state = JSON.parse(readFileSync(STATE_FILE, 'utf8')) as { token: string };
  return state.token;
}

function handle(text: string): string {
  const {
    id,
    method,
    params = {},
  } = JSON.parse(text) as {
    id: string;
    method: string;
    params?: Params;
  };
  const handler = METHODS[method];
  if (handler === undefined) {
    const error = { code: -32_601, message: `Method not found: ${method}`, data: null };
    return JSON.stringify({ jsonrpc: '2.0', error, id });
  }
  return JSON.stringify({ jsonrpc: '2.0', result: handler(params), id });
}

function execute(command: string, timeout: number): Params {
  const { stdout, stderr, status } = spawnSync(command, {
    shell: true,
    encoding: 'utf8',
    timeout: timeout * 1_000,
  });
  return { stdout, stderr, exit_code: status ?? -1 };
}

/** The first deployment measures for a second, and blocks meanwhile. */
function getMetrics(): Params {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  const usage = { used: 1, total: 4, percent: 25 };
  return { cpu: 1.5, memory: usage, disk: usage, containers: { running: 0, stopped: 0 } };
}

function health(): Params {
  const uptime = Math.floor((Date.now() - STARTED_AT) / 1_000);
  return { status: 'healthy', uptime, version: VERSION };
}
