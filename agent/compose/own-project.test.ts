import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import {
  json,
  type ScriptedEngine,
  startScriptedEngine,
} from '../../test/support/scripted-engine.ts';
import { OwnContainer } from '../own-container/own-container.ts';
import { Compose } from './compose-command.ts';
import { refuseOwnProject } from './own-project.ts';

const ID = 'a1'.repeat(32);
const { signal } = new AbortController();

let directory = '';
let engine: ScriptedEngine;
let labels: Record<string, string> = {};
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-own-'));
  await writeFile(path.join(directory, 'cgroup'), ID);
  labels = { 'com.docker.compose.project': 'my-stack' };
  engine = await startScriptedEngine((_call, response) => {
    const container = { Id: ID, Name: '/own', Image: 'i', HostConfig: {} };
    json(response, 200, { ...container, Mounts: [], Config: { Labels: labels } });
  });
});
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** Compose whose `config` is this file's text. */
async function composeSaying(version: string, config: string): Promise<Compose> {
  await writeFile(path.join(directory, 'config'), config);
  const script = `#!/bin/sh\n[ "$*" = "compose version --short" ] && echo ${version} || cat config\n`;
  await writeFile(path.join(directory, 'docker'), script, { mode: 0o755 });
  const environment = { PATH: `${directory}:/usr/bin:/bin` };
  const place = { scope: 'host', entrance: [], environment } as const;
  const project = { project_directory: directory };
  return await Compose.find({ place, project, timeoutMs: 20_000, signal });
}

async function guard(compose: Compose, project?: string): Promise<void> {
  const own = new OwnContainer({
    engine: new DockerEngine(engine.host),
    dataDir: '/data',
    isContained: true,
    processDirectory: directory,
  });
  await refuseOwnProject('docker.compose.down', own, compose, project, signal);
}

describe('the project that holds the agent', () => {
  it.each(['my-stack', 'mystack', 'my_stack'])('is refused as %s', async (name) => {
    const compose = await composeSaying('2.24.5', '{}');
    await expect(guard(compose, name)).rejects.toMatchObject({
      name: 'SELF_PROTECTED',
      message: expect.stringMatching(/agent\.restart.*uninstall_agent/),
    });
  });

  it('is refused by the name that the file or its directory gives it', async () => {
    const compose = await composeSaying('2.24.5', '{"name": "my-stack"}');
    await expect(guard(compose)).rejects.toHaveProperty('name', 'SELF_PROTECTED');
  });

  it('has to be told apart by the caller where compose does not say its name', async () => {
    const compose = await composeSaying('1.29.2', 'services: {}');
    await expect(guard(compose)).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
      message: expect.stringContaining('docker.compose.ls'),
    });
  });
});

describe('another project', () => {
  it('is let through, by its given or its own name', async () => {
    await guard(await composeSaying('1.29.2', ''), 'web');
    await guard(await composeSaying('2.24.5', '{"name": "web"}'));
  });

  it('is any, of an agent that no compose made', async () => {
    labels = {};
    await guard(await composeSaying('1.29.2', ''), 'my-stack');
  });
});
