import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EngineProbe } from './engine-probe.ts';
import { hostName, identifyHost, isInContainer, osName } from './host-info.ts';

let host = '';
beforeEach(async () => {
  host = await mkdtemp(path.join(tmpdir(), 'tomo-host-'));
  await mkdir(path.join(host, 'etc'));
  await mkdir(path.join(host, 'var/lib/dbus'), { recursive: true });
});
afterEach(async () => {
  await rm(host, { recursive: true });
});

const open = new AbortController().signal;

function engine(id: () => Promise<string>): EngineProbe {
  const unused = async (): Promise<never> => {
    throw new Error('unused');
  };
  return { id, version: unused, counts: unused };
}

async function put(name: string, text: string): Promise<void> {
  await writeFile(path.join(host, name), text);
}

describe('identifyHost', () => {
  it('tells what the mounted server says, before the container’s own files', async () => {
    await put('etc/hostname', 'web-1\n');
    await put('etc/os-release', 'NAME="X"\nPRETTY_NAME="Exotic Linux 1.0"\n');
    await put('etc/machine-id', '');
    await put('var/lib/dbus/machine-id', 'abcdef\n');
    const told = await identifyHost(
      engine(async () => 'ENGINE'),
      open,
      [host, ''],
    );
    expect(told).toEqual({
      hostname: 'web-1',
      os: 'Exotic Linux 1.0',
      arch: os.machine(),
      engine_id: 'ENGINE',
      machine_id: 'abcdef',
    });
  });

  it('leaves out what it cannot know', async () => {
    const failing = engine(async () => {
      throw new Error('no engine');
    });
    const told = await identifyHost(failing, open, [host]);
    expect(told).toEqual({
      hostname: os.hostname(),
      os: `${os.type()} ${os.release()}`,
      arch: os.machine(),
    });
  });

  it('does not wait for an engine that hangs', async () => {
    const hanging = engine(() => new Promise<never>(() => undefined));
    expect(await identifyHost(hanging, open, [host])).not.toHaveProperty('engine_id');
  });

  it('cuts what is longer than a field may be', async () => {
    await put('etc/machine-id', 'x'.repeat(1_000));
    const { machine_id: id } = await identifyHost(
      engine(async () => ''),
      open,
      [host],
    );
    expect(id).toHaveLength(255);
  });
});

describe('osName and hostName', () => {
  it('take a name without quotation marks, and this machine’s own files by default', async () => {
    await put('etc/os-release', "PRETTY_NAME='Arch Linux'");
    expect(await osName([host])).toBe('Arch Linux');
    expect(await osName()).not.toBe('');
    expect(await hostName()).toBe(os.hostname());
  });
});

describe('isInContainer', () => {
  it('goes by the engine’s marker files', () => {
    expect(isInContainer(['/no/such/marker', '/etc/passwd'])).toBe(true);
    expect(isInContainer(['/no/such/marker'])).toBe(false);
  });
});
