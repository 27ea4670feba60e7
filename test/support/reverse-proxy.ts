import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { requirePart } from './docker-engine.ts';
import { isInstalled, isRoot } from './installed.ts';
import type { Started } from './processes.ts';

const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 50;
const README = fileURLToPath(new URL('../../README.md', import.meta.url));

export const PROXY_KINDS = ['nginx', 'caddy'] as const;
export type ProxyKind = (typeof PROXY_KINDS)[number];

export interface ProxyOptions {
  /** Where it listens on loopback, and the port that it passes to. */
  readonly listen: number;
  readonly port: number;
  /** Its certificate for `localhost`. */
  readonly files: { readonly cert: string; readonly key: string };
  /** Whether it takes the path prefix off. */
  readonly strips: boolean;
}

/** Whether tests with this proxy can run. */
export function hasProxy(kind: ProxyKind): boolean {
  const found = program(kind);
  return (
    requirePart(kind, found, `no ${kind} (install it with the system's packages)`) !== undefined
  );
}

/** Starts the proxy as the README has it, with the prefix /tomo. */
export async function startProxy(
  started: Started,
  kind: ProxyKind,
  options: ProxyOptions,
): Promise<void> {
  const directory = started.directory();
  const config = join(directory, kind === 'nginx' ? 'nginx.conf' : 'Caddyfile');
  const make = kind === 'nginx' ? nginxConfig : caddyConfig;
  writeFileSync(config, make(example(kind), options, directory));
  const args =
    kind === 'nginx'
      ? ['-p', directory, '-e', 'stderr', '-c', config]
      : ['run', '--config', config, '--adapter', 'caddyfile'];
  const child = spawn(program(kind) ?? kind, args, {
    env: { PATH: process.env['PATH'], HOME: directory, XDG_DATA_HOME: directory },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const ended = once(child, 'exit');
  started.defer(async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await ended;
  });
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await accepts(options.listen))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${kind}: ${log}`);
    await delay(START_POLL_MS);
  }
}

function program(kind: ProxyKind): string | undefined {
  if (isInstalled(kind)) return kind;
  const path = join('/usr/sbin', kind);
  return existsSync(path) ? path : undefined;
}

/** The configuration that users are told to copy. */
function example(kind: ProxyKind): string {
  const language = kind === 'nginx' ? 'nginx' : 'caddyfile';
  const block = new RegExp(`\`\`\`${language}\n([\\s\\S]+?)\`\`\``).exec(
    readFileSync(README, 'utf8'),
  );
  if (block?.[1] === undefined) throw new Error(`README has no example for ${kind}`);
  return block[1];
}

type MakeConfig = (text: string, options: ProxyOptions, directory: string) => string;

/** With a read time-out that only a hub which pings in time survives. */
const nginxConfig: MakeConfig = (text, { listen, port, files, strips }, directory) => {
  const server = replaced(text, {
    'listen 443 ssl': `listen 127.0.0.1:${listen} ssl`,
    'server_name tomo.example': 'server_name localhost',
    '/etc/ssl/tomo.example/chain.pem': files.cert,
    '/etc/ssl/tomo.example/key.pem': files.key,
    'http://127.0.0.1:8000': `http://127.0.0.1:${port}${strips ? '/' : ''}`,
    'proxy_read_timeout 120s': 'proxy_read_timeout 7s',
  });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join('\n');
  // Workers of another user could not use the test's directory.
  return `${isRoot() ? 'user root;' : ''}
daemon off;
pid ${directory}/nginx.pid;
events {}
http {
access_log off;
${temporary}
${server}
}
`;
};

const caddyConfig: MakeConfig = (text, { listen, port, files, strips }) => {
  const directive = strips
    ? `handle_path /tomo/* {\nreverse_proxy 127.0.0.1:${port}\n}`
    : `reverse_proxy /tomo/* 127.0.0.1:${port}`;
  const site = replaced(text, {
    'tomo.example {': `https://localhost:${listen} {\nbind 127.0.0.1\ntls ${files.cert} ${files.key}`,
    'reverse_proxy /tomo/* 127.0.0.1:8000': directive,
  });
  return `{\nadmin off\nauto_https disable_redirects\n}\n${site}`;
};

function replaced(text: string, changes: Readonly<Record<string, string>>): string {
  let result = text;
  for (const [from, to] of Object.entries(changes)) {
    if (!result.includes(from)) throw new Error(`the README's example has no "${from}"`);
    result = result.replace(from, to);
  }
  return result;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.unref();
    socket.once('connect', () => socket.destroy());
  });
}
