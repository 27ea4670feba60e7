import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { requireDocker } from '../../test/support/docker-engine.ts';
import { WORKLOAD_IMAGE } from '../../test/support/workload-image.ts';
import { removeAgent } from './uninstall-helper.ts';

const host = requireDocker();
const log = pino({ level: 'silent' });
const TIMES = { answerMs: 1, volumeRetryMs: 20, volumeLimitMs: 10_000 };
const run = promisify(execFile);
const prefix = `tomo-helper-${randomBytes(3).toString('hex')}`;
const agent = `${prefix}-agent`;
const other = `${prefix}-other`;
const volume = `${prefix}-data`;

async function docker(...args: string[]): Promise<string> {
  const { stdout } = await run('docker', ['-H', host ?? '', ...args]);
  return stdout.trim();
}

async function start(name: string, ...labels: string[]): Promise<void> {
  const mount = ['-v', `${volume}:/data`];
  await docker('run', '-d', '--name', name, ...labels, ...mount, WORKLOAD_IMAGE);
}

async function left(): Promise<string[]> {
  const containers = await docker(
    'ps',
    '-a',
    '--filter',
    `name=${prefix}`,
    '--format',
    '{{.Names}}',
  );
  const volumes = await docker('volume', 'ls', '--filter', `name=${prefix}`, '-q');
  return [...containers.split('\n'), ...volumes.split('\n')].filter((name) => name !== '');
}

describe.runIf(host)('the helper that removes an agent', () => {
  const engine = new DockerEngine(host);
  const remove = (times = TIMES) => removeAgent(engine, [agent, volume], log, times);

  afterEach(async () => {
    for (const name of [agent, other]) await docker('rm', '-f', name).catch(() => undefined);
    await docker('volume', 'rm', '-f', volume);
  });

  it('removes the running container and its volume, and is content when both are gone', async () => {
    await start(agent, '--label', 'tomo.agent=1', '--restart', 'always');
    await remove();
    expect(await left()).toEqual([]);
    await remove();
  });

  it('leaves the volume when none is named', async () => {
    await start(agent, '--label', 'tomo.agent=1');
    await removeAgent(engine, [agent, '-'], log, TIMES);
    expect(await left()).toEqual([volume]);
  });

  it('removes nothing of a container that is no agent’s', async () => {
    await start(agent);
    await expect(remove()).rejects.toHaveProperty('name', 'SELF_PROTECTED');
    expect((await left()).toSorted()).toEqual([agent, volume]);
  });

  it('waits for a volume that another container uses', async () => {
    await start(agent, '--label', 'tomo.agent=1');
    await start(other);
    const removed = remove();
    while ((await left()).includes(agent)) continue;
    await docker('rm', '-f', other);
    await removed;
    expect(await left()).toEqual([]);
  });

  it('leaves a volume that stays in use', async () => {
    await start(agent, '--label', 'tomo.agent=1');
    await start(other);
    const refused = remove({ ...TIMES, volumeLimitMs: 1 });
    await expect(refused).rejects.toHaveProperty('name', 'CONFLICT');
    expect((await left()).toSorted()).toEqual([volume, other].toSorted());
  });

  it('refuses to work without its arguments', async () => {
    await expect(removeAgent(engine, [agent], log, TIMES)).rejects.toHaveProperty(
      'name',
      'ZodError',
    );
  });
});
