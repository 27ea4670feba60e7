import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import type { HostInfo } from '../protocol/handshake.ts';
import type { EngineProbe } from './engine-probe.ts';
import { withTimeLimit } from './time-limit.ts';

// The server's file system as the agent's container sees it, before the container's own.
const ROOTS = ['/host', ''] as const;
const FIELD_MAX_CHARS = 255;
// Part of every dial: an engine that is slower is left out rather than waited for.
const ENGINE_ID_LIMIT_MS = 400;

const CONTAINER_MARKERS = ['/.dockerenv', '/run/.containerenv'] as const;

/** Whether this process runs in a Docker or Podman container. */
export function isInContainer(markers: readonly string[] = CONTAINER_MARKERS): boolean {
  return markers.some((marker) => existsSync(marker));
}

/** What the agent tells the hub of its machine. */
export async function identifyHost(
  engine: EngineProbe,
  signal: AbortSignal,
  roots: readonly string[] = ROOTS,
): Promise<HostInfo> {
  const [hostname, osLabel, machineId, engineId] = await Promise.all([
    hostName(roots),
    osName(roots),
    firstText(under(roots, ['/etc/machine-id', '/var/lib/dbus/machine-id'])),
    withTimeLimit(ENGINE_ID_LIMIT_MS, signal, (limited) => engine.id(limited)).catch(() => ''),
  ]);
  return {
    hostname: fit(hostname),
    os: fit(osLabel),
    arch: fit(os.machine()),
    ...(engineId === '' ? {} : { engine_id: fit(engineId) }),
    ...(machineId === undefined ? {} : { machine_id: fit(machineId) }),
  };
}

/** The server's name, not that of the agent's container. */
export async function hostName(roots: readonly string[] = ROOTS): Promise<string> {
  const mounted = roots.filter((root) => root !== '');
  return (await firstText(under(mounted, ['/etc/hostname']))) ?? os.hostname();
}

/** PRETTY_NAME of os-release(5), such as "Debian GNU/Linux 12 (bookworm)". */
export async function osName(roots: readonly string[] = ROOTS): Promise<string> {
  for (const file of under(roots, ['/etc/os-release'])) {
    const line = /^PRETTY_NAME=(.*)$/m.exec((await firstText([file])) ?? '');
    if (line?.[1] !== undefined) return line[1].replace(/^(["'])(.*)\1$/, '$2');
  }
  return `${os.type()} ${os.release()}`;
}

function under(roots: readonly string[], files: readonly string[]): string[] {
  return roots.flatMap((root) => files.map((file) => `${root}${file}`));
}

async function firstText(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.trim() !== '') return text.trim();
  }
  return undefined;
}

function fit(text: string): string {
  return text.slice(0, FIELD_MAX_CHARS);
}
