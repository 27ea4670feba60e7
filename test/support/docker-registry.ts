import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A real image registry on a loopback port, which engines accept without TLS. */
export interface TestRegistry {
  /** "127.0.0.1:PORT", the first part of image names. */
  readonly address: string;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 50;

/** Undefined if Debian's docker-registry is not installed. */
export async function startRegistry(): Promise<TestRegistry | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'tomo-registry-'));
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(directory, 'config.yml');
  await writeFile(config, configuration(address, directory));
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  const gone = once(server, 'exit').catch(() => undefined);
  const stop = async () => {
    server.kill('SIGTERM');
    await gone;
    await rm(directory, { recursive: true, force: true });
  };
  if (await answers(server, address)) return { address, stop };
  await stop();
  return undefined;
}

function configuration(address: string, directory: string): string {
  const storage = `{filesystem: {rootdirectory: ${directory}/data}}`;
  return `version: 0.1\nlog: {level: error}\nstorage: ${storage}\nhttp: {addr: "${address}"}\n`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function answers(server: ChildProcess, address: string): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && server.pid !== undefined && server.exitCode === null) {
    const reply = await fetch(`http://${address}/v2/`).catch(() => undefined);
    if (reply?.ok === true) return true;
    await delay(START_POLL_MS);
  }
  return false;
}
