import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { CATALOGUE, type ParamsInputOf } from '../../protocol/commands/catalogue.ts';
import { LOG_RESULT_MAX_BYTES } from '../../protocol/limits.ts';
import { eventually } from '../../test/support/hub.ts';
import {
  json,
  type ScriptedEngine,
  startScriptedEngine,
} from '../../test/support/scripted-engine.ts';
import type { CommandContext } from '../commands/handler.ts';
import { listMembers } from './compose-containers.ts';
import { readProjectLogs } from './compose-logs.ts';
import { listProjects } from './compose-projects.ts';
import { projectLogFollower } from './follow-project-logs.ts';

const { signal } = new AbortController();
const output = { write: async () => undefined, progress: () => undefined };
const context = { signal, afterAnswer: () => undefined, output };

let engine: ScriptedEngine;
afterEach(() => engine[Symbol.asyncDispose]());

function labels(project: string, service: string, more: object = {}): object {
  return {
    'com.docker.compose.project': project,
    'com.docker.compose.service': service,
    'com.docker.compose.oneoff': 'False',
    ...more,
  };
}

function container(name: string, Labels: object, Status = 'Up 3 minutes'): object {
  const state = { State: Status.startsWith('Up') ? 'running' : 'exited', Status };
  return {
    Id: name.padEnd(64, '0'),
    Names: [`/${name}`],
    Image: 'i',
    Created: 1,
    ...state,
    Labels,
  };
}

const RUNNING = { StartedAt: '2026-01-01T00:00:00Z', Running: true, Restarting: false };

/** An engine with these containers, each of which answers a request for its log like this. */
async function start(
  containers: readonly object[],
  answerLog: (name: string, response: ServerResponse) => void = () => undefined,
): Promise<DockerEngine> {
  engine = await startScriptedEngine(({ url }, response) => {
    const Id = url.split('/')[2] ?? '';
    const name = Id.replace(/0+$/, '');
    if (url.startsWith('/containers/json')) json(response, 200, containers);
    else if (url.includes('/logs?')) answerLog(name, response);
    else json(response, 200, { Id, Config: { Tty: true }, HostConfig: {}, State: RUNNING });
  });
  return new DockerEngine(engine.host);
}

async function logs(docker: DockerEngine, params: ParamsInputOf<'docker.compose.logs'>) {
  const { params: schema, result } = CATALOGUE['docker.compose.logs'];
  return result.parse(await readProjectLogs(docker, schema.parse(params), context));
}

const WEB = container('web', labels('app', 'web'));
const DB = container('db', labels('app', 'db'));

function at(second: number): string {
  return `2026-01-01T00:00:0${second}.000000000Z`;
}

describe('the logs of a project', () => {
  it('are merged by time, whichever container said it', async () => {
    const said: Record<string, string> = {
      web: `${at(1)} one\r\n${at(4)} four\n`,
      db: `${at(2)} two\n${at(3)} three\n`,
    };
    const docker = await start([WEB, DB], (name, response) => response.end(said[name]));
    expect(await logs(docker, { project: 'app' })).toEqual({
      logs: 'web | one\ndb | two\ndb | three\nweb | four\n',
      truncated: false,
    });
    const timed = await logs(docker, { project: 'app', services: ['db'], timestamps: true });
    expect(timed.logs).toBe(`db | ${at(2)} two\ndb | ${at(3)} three\n`);
    expect(engine.calls.filter(({ url }) => url.includes('tail=100'))).toHaveLength(3);
  });

  it('say of which container there is none to read, and leave out one that has gone', async () => {
    const docker = await start([WEB, DB], (name, response) =>
      name === 'web'
        ? json(response, 501, { message: 'logging driver does not support reading' })
        : json(response, 404, { message: 'No such container' }),
    );
    const { logs: text } = await logs(docker, { project: 'app' });
    expect(text).toMatch(/^web \| \[no log: .*does not support reading.*\]\n$/);
  });

  it('fail with the engine', async () => {
    const docker = await start([WEB], (_name, response) => response.destroy());
    await expect(logs(docker, { project: 'app' })).rejects.toHaveProperty('code', 1200);
  });

  it('give each container its share of one answer, and say that lines are missing', async () => {
    const line = `${at(1)} ${'x'.repeat(1_000)}\n`;
    const docker = await start([WEB, DB], (name, response) =>
      response.end(name === 'web' ? line.repeat(4_000) : `${at(0)} the one line of db\n`),
    );
    const found = await logs(docker, { project: 'app' });
    expect(found.truncated).toBe(true);
    expect(found.logs).toMatch(/^db \| the one line of db\nweb \| x/);
    expect(Buffer.byteLength(found.logs ?? '')).toBeLessThanOrEqual(LOG_RESULT_MAX_BYTES);
  });

  it('stay within one answer also when names are longer than lines', async () => {
    const long = container('n'.repeat(60), labels('app', 'web'));
    const short = `${at(1)} x\n`;
    const docker = await start([long], (_name, response) => response.end(short.repeat(130_000)));
    const found = await logs(docker, { project: 'app' });
    expect(found.truncated).toBe(true);
    expect(Buffer.byteLength(found.logs ?? '')).toBeLessThanOrEqual(LOG_RESULT_MAX_BYTES);
  });

  it('are those of containers that are there', async () => {
    const docker = await start([]);
    for (const which of [
      { project: 'app' },
      { project_directory: '/srv/app', services: ['web'] },
    ]) {
      await expect(logs(docker, which)).rejects.toMatchObject({
        name: 'NOT_FOUND',
        message: expect.stringContaining('docker.compose.ls'),
      });
    }
    expect(CATALOGUE['docker.compose.logs'].params.safeParse({}).success).toBe(false);
  });
});

describe('following the logs of a project', () => {
  const many = (count: number, service = 'web') =>
    Array.from({ length: count }, (_, at) => container(`${service}${at}x`, labels('app', service)));
  const silent = (_name: string, response: ServerResponse): void => response.flushHeaders();

  /** Follows services with one agent's handler. */
  function follower(docker: DockerEngine) {
    const handle = projectLogFollower(docker);
    const { params } = CATALOGUE['docker.compose.logs'];
    return (call: CommandContext, service: string) =>
      handle(params.parse({ project: 'app', services: [service], follow: true }), call);
  }

  const logIsAskedFor = (count: number) =>
    eventually(() => {
      const asked = engine.calls.filter(({ url }) => url.includes('/logs?'));
      expect(asked).toHaveLength(count);
    });

  it('is refused past the number of containers that all calls together may follow', async () => {
    const docker = await start([...many(2), ...many(127, 'large')], silent);
    const follow = follower(docker);
    const cancel = new AbortController();
    const first = follow({ ...context, signal: cancel.signal }, 'web');
    await logIsAskedFor(2);
    const refusal = { name: 'LIMIT_REACHED', message: expect.stringContaining('services') };
    await expect(follow(context, 'large')).rejects.toMatchObject(refusal);
    cancel.abort();
    await expect(first).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    const alone = new AbortController();
    const second = follow({ ...context, signal: alone.signal }, 'large');
    await logIsAskedFor(129);
    alone.abort();
    await expect(second).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });

  it('begins with the tail also where the engine is away at first, and with all of what comes later', async () => {
    const containers = [WEB];
    let looks = 0;
    engine = await startScriptedEngine(({ url }, response) => {
      if (url.startsWith('/containers/json')) json(response, 200, containers);
      else if (url.includes('/logs?')) response.flushHeaders();
      else if (++looks === 1) response.destroy();
      else json(response, 200, { Id: 'x', Config: { Tty: true }, HostConfig: {}, State: RUNNING });
    });
    const { params } = CATALOGUE['docker.compose.logs'];
    const cancel = new AbortController();
    const following = projectLogFollower(new DockerEngine(engine.host))(
      params.parse({ project: 'app', follow: true, tail: 10 }),
      { ...context, signal: cancel.signal },
    );
    await logIsAskedFor(1);
    containers.push(DB);
    await logIsAskedFor(2);
    const asked = engine.calls.filter(({ url }) => url.includes('/logs?'));
    expect(asked.map(({ url }) => /tail=\w+/.exec(url)?.[0])).toEqual(['tail=10', 'tail=all']);
    cancel.abort();
    await expect(following).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });

  it('leaves out those past that which come later, says so once, and begins when there is room', async () => {
    const containers = [...many(1), ...many(127, 'large')];
    const docker = await start(containers, silent);
    const follow = follower(docker);
    const [first, second] = [new AbortController(), new AbortController()];
    const leaving = follow({ ...context, signal: first.signal }, 'web');
    const said: string[] = [];
    const write = async (_stream: string, data: Buffer): Promise<void> => {
      said.push(data.toString());
    };
    const call = { ...context, signal: second.signal, output: { ...output, write } };
    const staying = follow(call, 'large');
    // The first looks are over with the last log that is asked for.
    await logIsAskedFor(128);
    containers.push(container('late', labels('app', 'large')));
    await eventually(() => expect(said).toHaveLength(1));
    const looks = () => engine.calls.filter(({ url }) => url.startsWith('/containers/json')).length;
    const before = looks();
    await eventually(() => expect(looks()).toBeGreaterThan(before + 3));
    first.abort();
    await expect(leaving).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    await logIsAskedFor(129);
    expect(engine.calls.findLast(({ url }) => url.includes('/logs?'))?.url).toContain('/late0');
    expect(said).toEqual([expect.stringMatching(/^late \| \[not followed .*services\]\n$/)]);
    second.abort();
    await expect(staying).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });
});

describe('projects', () => {
  it('are those that containers name, with where compose found their files', async () => {
    const first = {
      'com.docker.compose.project.working_dir': '/srv/app',
      'com.docker.compose.project.config_files': 'docker-compose.yml,/etc/more.yml',
    };
    const docker = await start([
      container('app_web_2', labels('app', 'web', first), 'Exited (137) 2 minutes ago'),
      container('app_web_10', labels('app', 'web', first)),
      container('app_run_1', labels('app', 'web', { 'com.docker.compose.oneoff': 'True' })),
      container('old_web_1', { 'com.docker.compose.project': 'old' }),
    ]);
    expect(await listProjects(docker, signal)).toEqual([
      {
        project: 'app',
        project_directory: '/srv/app',
        config_files: ['/srv/app/docker-compose.yml', '/etc/more.yml'],
        services: ['web'],
        containers: { exited: 1, running: 1 },
      },
      {
        project: 'old',
        project_directory: null,
        config_files: [],
        services: [''],
        containers: { running: 1 },
      },
    ]);
    const found = await listMembers(docker, { project_directory: '/srv/app//' }, signal);
    expect(found.map(({ container: one }) => [one.name, one.exit_code])).toEqual([
      ['app_web_2', 137],
      ['app_web_10', null],
    ]);
    expect(found[0]?.container).not.toHaveProperty('labels');
  });
});
