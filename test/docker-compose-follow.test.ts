import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ParamsInputOf } from '../protocol/commands/catalogue.ts';
import { CollectedLines } from './support/collected-output.ts';
import { countConnections } from './support/counted-connections.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { eventually } from './support/hub.ts';
import { LiveCall } from './support/live-call.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();

/** Containers as compose labels them; what compose itself does is tested on a server that has it. */
describe.skipIf(host === undefined)('following the logs of a project on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  afterAll(() => docker.cleanUp());

  /** Answers the container's name. */
  async function start(project: string, service: string, script: string, ...options: string[]) {
    const name = docker.name(`${project}-${service}`);
    const labels = [`project=${docker.name(project)}`, `service=${service}`];
    const flags = labels.flatMap((label) => ['--label', `com.docker.compose.${label}`]);
    const run = ['run', '-d', '--network', 'none', '--name', name, ...flags, ...options];
    await docker.cli(...run, WORKLOAD_IMAGE, 'sh', '-c', script);
    return name;
  }

  function follow(
    project: string,
    output: CollectedLines,
    params: ParamsInputOf<'docker.compose.logs'> = {},
    at: string = host ?? '',
  ) {
    const all = { project: docker.name(project), follow: true, ...params };
    const call = new LiveCall(at, 'docker.compose.logs', all, output);
    onTestFinished(() => call.cancel());
    return call;
  }

  it('passes on whole lines with their container’s name, also of one that is added', async () => {
    const web = await start('added', 'web', "printf 'one\\r\\n'; echo tw >&2; sleep 600");
    const output = new CollectedLines();
    const call = follow('added', output);
    await output.until(() => output.lines.length === 2);
    expect(output.lines.toSorted()).toEqual([`${web} | one`, `${web} | tw`]);
    const store = await start('added', 'store', 'seq 1 3; exec sleep 600');
    await output.until(() => output.lines.length === 5);
    const stored = ['1', '2', '3'].map((number) => `${store} | ${number}`);
    expect(output.lines.slice(2)).toEqual(stored);
    await docker.cli('rm', '-f', web);
    await start('added', 'last', 'echo bye');
    await output.until(() => output.lines.length === 6);
    await docker.cli('rm', '-f', store, docker.name('added-last'));
    const bytes = Buffer.byteLength(`${output.lines.join('\n')}\n`);
    expect(await call.ended).toEqual({ lines: 6, bytes, ended: 'containers_removed' });
  });

  it('keeps to the services and the lines it is asked for', async () => {
    const web = await start('chosen', 'web', 'seq 1 9; exec sleep 600');
    await start('chosen', 'store', 'seq 1 9; exec sleep 600');
    await eventually(async () => expect(await docker.cli('logs', web)).toContain('9'));
    const output = new CollectedLines();
    const params = { services: ['web'], tail: 2, timestamps: true, timeout: 2 };
    const { ended } = await follow('chosen', output, params).ended;
    expect(ended).toBe('timeout');
    const shown = output.lines.map((line) => line.replace(/ \d{4}-\S+Z /, ' '));
    expect(shown).toEqual([`${web} | 8`, `${web} | 9`]);
  });

  it('says of which container there is no log, and goes on with the others', async () => {
    const mute = await start('mute', 'mute', 'sleep 600', '--log-driver', 'none');
    const web = await start('mute', 'web', 'echo here; exec sleep 600');
    const output = new CollectedLines();
    follow('mute', output);
    await output.until(() => output.lines.length === 2);
    const [noLog, line] = output.lines.toSorted();
    expect(noLog).toMatch(new RegExp(`^${mute} \\| \\[no log: .*logging driver`));
    expect(line).toBe(`${web} | here`);
  });

  it('ends when its time is up, also while nobody reads', async () => {
    await start('unread', 'web', 'yes');
    await start('unread', 'store', 'yes');
    const output = new CollectedLines();
    output.pause();
    const { ended, lines = 0 } = await follow('unread', output, { timeout: 2 }).ended;
    expect(ended).toBe('timeout');
    expect(lines).toBeGreaterThan(0);
    await docker.cli('rm', '-f', docker.name('unread-web'), docker.name('unread-store'));
  });

  it('leaves no connection to the engine when it is cancelled while nobody reads', async () => {
    await start('cancelled', 'web', 'yes');
    await start('cancelled', 'store', 'sleep 600');
    const output = new CollectedLines();
    await using engine = await countConnections(host ?? '');
    output.pause();
    const call = follow('cancelled', output, {}, engine.host);
    await output.until(() => output.waiting === 1);
    expect(engine.open()).toBeGreaterThan(0);
    call.cancel();
    await expect(call.ended).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    await eventually(() => expect(engine.open()).toBe(0));
    await docker.cli('rm', '-f', docker.name('cancelled-web'));
  });

  it('refuses a project that has no container', async () => {
    const missing = follow('missing', new CollectedLines());
    await expect(missing.ended).rejects.toMatchObject({ name: 'NOT_FOUND' });
  });
});
