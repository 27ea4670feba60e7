import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import {
  json,
  type ScriptedEngine,
  startScriptedEngine,
} from '../../test/support/scripted-engine.ts';
import { OwnContainer } from '../own-container/own-container.ts';
import { dockerComposeHandlers } from './docker-compose.ts';

const ID = 'c0ffee'.padEnd(64, '0');
const steps: string[] = [];
let heard = '';
const context = {
  signal: new AbortController().signal,
  afterAnswer: () => undefined,
  output: {
    write: async (_stream: string, data: Buffer) => {
      heard += data.toString();
    },
    progress: (message: string) => {
      steps.push(message);
    },
  },
};

let directory = '';
let engine: ScriptedEngine;
/** What the engine says of the container's health, one look after the other. */
let looks: string[] = [];
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-compose-'));
  steps.length = 0;
  heard = '';
  looks = ['Up 1 second'];
  engine = await startScriptedEngine(({ url }, response) => {
    if (url === '/version') json(response, 200, { Version: '27.1', ApiVersion: '1.46' });
    else json(response, 200, [container(looks.length > 1 ? looks.shift() : looks[0])]);
  });
});
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function container(Status = ''): object {
  const Labels = { 'com.docker.compose.project': 'app', 'com.docker.compose.service': 'web' };
  return {
    Id: ID,
    Names: ['/app-web-1'],
    Image: 'i',
    Created: 1,
    State: 'running',
    Status,
    Labels,
  };
}

/** A compose that says it is of this version, notes its calls and names this container in `ps`. */
async function handlers(version: string, named = ID) {
  const isFirst = version.startsWith('1.');
  const script = `#!/bin/sh
[ "$1" = compose ] && shift
case "$*" in
  "version --short") echo ${version};;
  'config --format json') echo 'invalid value "hunter2"' >&2; exit 15;;
  *ps*) echo "$*" >> ${directory}/said; echo ${named};;
  *) echo "$*" >> ${directory}/said; echo "out of $*"; echo "told of $*" >&2;;
esac
`;
  const none = '#!/bin/sh\nexit 1\n';
  const [first, second] = isFirst ? [script, none] : [none, script];
  await writeFile(path.join(directory, 'docker-compose'), first, { mode: 0o755 });
  await writeFile(path.join(directory, 'docker'), second, { mode: 0o755 });
  const docker = new DockerEngine(engine.host);
  return dockerComposeHandlers({
    engine: docker,
    own: new OwnContainer({ engine: docker, dataDir: '/data', isContained: false }),
    shell: async () => ({
      scope: 'host',
      entrance: [],
      environment: { PATH: `${directory}:/usr/bin:/bin` },
    }),
  });
}

async function up(version: string, params: object = {}, named = ID) {
  const { 'docker.compose.up': handler } = await handlers(version, named);
  const { params: schema, result } = CATALOGUE['docker.compose.up'];
  const parsed = schema.parse({ project_directory: directory, ...params });
  return result.parse(await handler(parsed, context));
}

async function said(): Promise<string[]> {
  return (await readFile(path.join(directory, 'said'), 'utf8')).trimEnd().split('\n');
}

const EVERYTHING = {
  project: 'app',
  services: ['web', 'db'],
  build: true,
  pull: true,
  remove_orphans: true,
};

describe('docker.compose.up', () => {
  it.each([
    ['2.24.5', 'ps --all --quiet'],
    ['1.29.2', 'ps --quiet'],
  ])('asks compose %s for the least', async (version, ps) => {
    const result = await up(version);
    expect(await said()).toEqual(['up --detach', ps]);
    expect(result).toMatchObject({
      status: 'up',
      compose_version: version,
      output: 'told of up --detach\nout of up --detach\n',
      truncated: false,
      containers: [{ name: 'app-web-1', service: 'web', status: 'running' }],
    });
  });

  it.each([
    ['2.24.5', '--project-name=app ps --all --quiet web db'],
    ['1.29.2', '--project-name=app ps --quiet web db'],
  ])('asks compose %s for everything', async (version, ps) => {
    const { output } = await up(version, EVERYTHING);
    expect(await said()).toEqual([
      '--project-name=app pull web db',
      '--project-name=app up --detach --build --remove-orphans web db',
      ps,
    ]);
    expect(output).toContain('told of --project-name=app pull');
    expect(output).toContain('told of --project-name=app up');
  });

  it('hands on what compose says while it works, and no answers to questions in between', async () => {
    await up('2.24.5', { pull: true });
    expect(
      heard
        .split('\n')
        .filter((line) => line !== '')
        .toSorted(),
    ).toEqual(['out of pull', 'out of up --detach', 'told of pull', 'told of up --detach']);
  });

  it('waits for health when told to, and says for whom', async () => {
    looks = ['Up 1 second', 'Up 1 second (health: starting)', 'Up 2 seconds (healthy)'];
    const { containers } = await up('2.24.5', { wait: true });
    expect(containers).toMatchObject([{ health: 'healthy' }]);
    expect(steps).toEqual(['waiting for app-web-1']);
  });

  it.each(['', 'f'.repeat(64)])(
    'has no containers to show where compose names %j',
    async (named) => {
      expect(await up('2.24.5', {}, named)).toMatchObject({ status: 'up', containers: [] });
    },
  );

  it('says that the engine is away before it tries', async () => {
    const away = new DockerEngine('unix:///no/such/docker.sock');
    const { 'docker.compose.up': handler } = dockerComposeHandlers({
      engine: away,
      own: new OwnContainer({ engine: away, dataDir: '/data', isContained: false }),
      shell: () => Promise.reject(new Error('not asked')),
    });
    const params = CATALOGUE['docker.compose.up'].params.parse({ project_directory: '/' });
    await expect(handler(params, context)).rejects.toHaveProperty('name', 'DOCKER_UNAVAILABLE');
  });
});

describe('docker.compose.down and pull', () => {
  it.each(['2.24.5', '1.29.2'])(
    'ask compose %s for no more than they are told',
    async (version) => {
      const all = await handlers(version);
      const { params: down } = CATALOGUE['docker.compose.down'];
      const { params: pull } = CATALOGUE['docker.compose.pull'];
      const place = { project_directory: directory };
      const every = { ...place, volumes: true, remove_orphans: true };
      const results = [
        await all['docker.compose.down'](down.parse(place), context),
        await all['docker.compose.down'](down.parse(every), context),
        await all['docker.compose.pull'](pull.parse(place), context),
        await all['docker.compose.pull'](pull.parse({ ...place, services: ['web'] }), context),
      ];
      expect(await said()).toEqual(['down', 'down --volumes --remove-orphans', 'pull', 'pull web']);
      expect(results.map(({ status }) => status)).toEqual(['down', 'down', 'pulled', 'pulled']);
    },
  );
});

describe('docker.compose.config', () => {
  it('shows compose’s words to those only who may see values', async () => {
    const all = await handlers('2.24.5');
    const { params } = CATALOGUE['docker.compose.config'];
    const ask = async (reveal_env: boolean): Promise<unknown> => {
      const given = params.parse({ project_directory: directory, reveal_env });
      return await all['docker.compose.config'](given, context).catch((error: unknown) => error);
    };
    expect(await ask(true)).toMatchObject({
      name: 'COMPOSE_FAILED',
      message: expect.stringContaining('hunter2'),
    });
    expect(await ask(false)).toMatchObject({
      name: 'COMPOSE_FAILED',
      message: expect.not.stringContaining('hunter2'),
    });
  });
});
