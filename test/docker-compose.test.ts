import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { makeAgentImage } from './support/agent-image.ts';
import { requireBaseImage } from './support/base-image.ts';
import { type CommandAnswer, send } from './support/commands.ts';
import { requireDocker, requirePart } from './support/docker-engine.ts';
import { isInstalled } from './support/installed.ts';
import type { TestClient } from './support/mcp-client.ts';
import { OutputReader } from './support/output-reader.ts';
import { Started } from './support/processes.ts';
import { requireServer, type StandInServer, standInServer } from './support/stand-in-server.ts';
import { connect, startServer } from './support/tomo.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
const composeInstalled = isInstalled('docker-compose') || undefined;
const compose = requirePart('compose', composeInstalled, 'no compose (install docker-compose)');
const possible =
  host !== undefined && compose && requireBaseImage() === true && requireServer() === true;

const SERVER = 'compose-1';
const installSchema = z.looseObject({ compose_yaml: z.string() });
const psSchema = z.array(z.looseObject({ service: z.string(), status: z.string() }));

// The relative path means the server's directory, whatever the agent's container has at that place.
const PROJECT_FILE = `
version: "3.8"
services:
  web:
    image: ${WORKLOAD_IMAGE}
    command: ["sh", "-c", "read line < /content/page; echo web says $$line; exec sleep 600"]
    environment: {PASSWORD: hunter2}
    volumes: ["./content:/content:ro"]
    depends_on: [store]
    stop_grace_period: 0s
  store:
    image: ${WORKLOAD_IMAGE}
    command: ["sh", "-c", "echo store is ready; exec sleep 600"]
    volumes: ["kept:/kept"]
    stop_grace_period: 0s
    healthcheck: {test: "true", interval: 1s}
volumes:
  kept: {}
`;

/** The agent is put there by its own compose file, so that compose could remove it. */
describe.skipIf(!possible)('docker.compose.* on a server with docker-compose', () => {
  const started = new Started();
  const agentDirectory = started.directory();
  const directory = started.directory();
  const project = basename(directory).toLowerCase();
  const agentProject = basename(agentDirectory).toLowerCase();
  let server: StandInServer;
  let client: TestClient;

  beforeAll(async () => {
    mkdirSync(join(directory, 'content'));
    writeFileSync(join(directory, 'content', 'page'), 'hello\n');
    writeFileSync(join(directory, 'docker-compose.yml'), PROJECT_FILE);
    await makeAgentImage(host ?? '');
    server = await standInServer(SERVER);
    started.defer(() => server.stop());
    await server.loadImage('ghcr.io/tomo/agent:latest');
    await server.loadImage(WORKLOAD_IMAGE);
    const args = ['--host', server.hubAddress, '--insecure-http'];
    const tomo = await startServer(started, { args, address: server.hubAddress });
    client = await connect(started, 'v2-auto', tomo.http);
    const { structuredContent } = await client.callTool('install_agent', { server_id: SERVER });
    const { compose_yaml } = installSchema.parse(structuredContent);
    writeFileSync(join(agentDirectory, 'docker-compose.yml'), compose_yaml);
    const there = await server.run(`cd ${agentDirectory} && docker-compose up -d`);
    expect(there).toMatchObject({ exitCode: 0 });
    await vi.waitFor(
      async () => expect(await send(client, SERVER)).toMatchObject({ status: 'succeeded' }),
      60_000,
    );
  });
  afterAll(() => started[Symbol.asyncDispose]());

  const call = (verb: string, params: object = {}): Promise<CommandAnswer> =>
    send(client, SERVER, `docker.compose.${verb}`, params);
  const result = async (verb: string, params: object): Promise<unknown> => {
    const answer = await call(verb, params);
    expect(answer.error).toBeUndefined();
    return answer.result;
  };
  const running = (service: string) => expect.objectContaining({ service, status: 'running' });

  it('shows the effective file, with the server’s paths and without secrets', async () => {
    const shown = await result('config', { project_directory: directory });
    expect(shown).toMatchObject({
      compose_version: expect.stringMatching(/^\d+\.\d+/),
      config: {
        services: {
          web: {
            environment: { PASSWORD: '***' },
            volumes: [`${directory}/content:/content:ro`],
          },
        },
      },
    });
    const revealed = await result('config', { project_directory: directory, reveal_env: true });
    expect(revealed).toMatchObject({
      config: { services: { web: { environment: { PASSWORD: 'hunter2' } } } },
    });
  });

  it('refuses to touch the project that holds the agent', async () => {
    const own = { project_directory: agentDirectory };
    for (const verb of ['up', 'down']) {
      expect(await call(verb, { ...own, project: agentProject })).toMatchObject({
        error: { name: 'SELF_PROTECTED' },
      });
      // docker-compose 1.x does not say which project a directory is.
      expect(await call(verb, own)).toMatchObject({ error: { name: 'INVALID_PARAMS' } });
    }
    expect(await result('ps', { project: agentProject })).toEqual([running('tomo-agent')]);
  });

  it('brings up two services, the relative path being the server’s, and waits for health', async () => {
    const up = await result('up', { project_directory: directory, project, wait: true });
    expect(up).toMatchObject({
      status: 'up',
      output: expect.stringContaining('done'),
      containers: [{ service: 'store', status: 'running', health: 'healthy' }, running('web')],
    });
  });

  it('finds the project by its name and by its directory', async () => {
    expect(await result('ls', {})).toContainEqual(
      expect.objectContaining({
        project,
        project_directory: directory,
        services: ['store', 'web'],
        containers: { running: 2 },
      }),
    );
    for (const which of [{ project }, { project_directory: `${directory}/` }]) {
      expect(await result('ps', which)).toEqual([running('store'), running('web')]);
      expect(await result('ps', { ...which, services: ['web'] })).toEqual([running('web')]);
    }
  });

  it('merges the logs of both services, each line with its container’s name', async () => {
    const { logs } = z
      .object({ logs: z.string() })
      .parse(await result('logs', { project, timestamps: true }));
    const texts = logs.split('\n').map((line) => line.replace(/ \| \S+Z /, ' > '));
    expect(texts).toEqual([
      `${project}_store_1 > store is ready`,
      `${project}_web_1 > web says hello`,
      '',
    ]);
    const web = await result('logs', { project, services: ['web'], tail: 1 });
    expect(web).toEqual({ logs: `${project}_web_1 | web says hello\n`, truncated: false });
  });

  it('follows the logs of both services, those of a container that is made anew too', async () => {
    const lines: string[] = [];
    const follow = [SERVER, 'docker.compose.logs', { project, follow: true }] as const;
    const reader = await OutputReader.begin(client, follow, (line) => lines.push(line));
    const said = (line: string) => () => lines.filter((other) => other === line).length;
    const [web, store] = [
      said(`${project}_web_1 | web says hello`),
      said(`${project}_store_1 | store is ready`),
    ];
    await reader.until(() => web() === 1 && store() === 1);
    expect((await server.run(`docker rm -f ${project}_web_1`)).exitCode).toBe(0);
    await result('up', { project_directory: directory, project });
    await reader.until(() => web() === 2);
    expect(lines).toHaveLength(3);
    await reader.cancel();
  });

  it('passes names on as they are, whatever they would mean to a shell', async () => {
    const odd = join(directory, `it's $(touch pwned); "odd"`);
    mkdirSync(odd);
    const file = `a'b $(touch pwned).yml`;
    writeFileSync(join(odd, file), PROJECT_FILE);
    const params = { project_directory: odd, file };
    expect(await result('config', params)).toMatchObject({ config: { services: { web: {} } } });
    const places = ['/', directory, odd].map(
      (place) => `'${place.replaceAll("'", `'\\''`)}/pwned'`,
    );
    expect((await server.run(`ls ${places.join(' ')}`)).stdout).toBe('');
  });

  it('says in compose’s own words what is wrong with a project', async () => {
    const absent = { project: 'x', project_directory: join(directory, 'absent') };
    expect(await call('up', absent)).toMatchObject({ error: { name: 'EXEC_FAILED' } });
    const noFile = { project: 'x', project_directory: directory, file: 'absent.yml' };
    expect(await call('up', noFile)).toMatchObject({ error: { name: 'NOT_FOUND' } });
    writeFileSync(
      join(directory, 'wrong.yml'),
      'services: {a: {imaeg: b, environment: {X: hunter2}}}',
    );
    const wrong = { project_directory: directory, project: 'x', file: 'wrong.yml' };
    expect(await call('up', wrong)).toMatchObject({
      error: { name: 'COMPOSE_FAILED', message: expect.stringContaining('imaeg') },
    });
    const hidden = await call('config', wrong);
    expect(hidden).toMatchObject({ error: { name: 'COMPOSE_FAILED' } });
    expect(hidden.error?.message).not.toContain('imaeg');
    expect(await call('config', { ...wrong, reveal_env: true })).toMatchObject({
      error: { name: 'COMPOSE_FAILED', message: expect.stringContaining('imaeg') },
    });
  });

  it('says that a pull failed, and of which service', async () => {
    expect(await call('pull', { project_directory: directory, services: ['web'] })).toMatchObject({
      error: { name: 'COMPOSE_FAILED', message: expect.stringContaining('for web') },
    });
  });

  it('says what is not ready when its time is over', async () => {
    const unready = 'services: {web: {healthcheck: {test: sleep 100, timeout: 100s}}}';
    writeFileSync(join(directory, 'unready.yml'), `version: "3.8"\n${unready}\n`);
    const answer = await call('up', {
      project_directory: directory,
      project,
      services: ['web'],
      file: ['docker-compose.yml', 'unready.yml'],
      timeout: 8,
      wait: true,
    });
    expect(answer).toMatchObject({
      status: 'timed_out',
      error: { name: 'COMMAND_TIMED_OUT', message: expect.stringContaining('health: starting') },
    });
  });

  it('stops at its time limit and leaves no compose behind', async () => {
    // Whoever opens it waits for a writer.
    await server.run(
      `mkdir ${directory}/endless && mkfifo ${directory}/endless/docker-compose.yml`,
    );
    const params = { project_directory: `${directory}/endless`, timeout: 3 };
    expect(await call('pull', params)).toMatchObject({ error: { name: 'COMMAND_TIMED_OUT' } });
    const found = await server.run('pgrep -af [d]ocker-compose');
    expect(found).toMatchObject({ stdout: '', exitCode: 1 });
  });

  it('takes it down, and its volume only when told to', async () => {
    const volumes = async () => (await server.run('docker volume ls -q')).stdout;
    const params = { project_directory: directory, project };
    expect(await result('down', params)).toMatchObject({ status: 'down' });
    expect(await call('ps', { project })).toMatchObject({ error: { name: 'NOT_FOUND' } });
    expect(await volumes()).toContain(`${project}_kept`);
    await result('down', { ...params, volumes: true });
    expect(await volumes()).not.toContain(`${project}_kept`);
    expect(psSchema.parse(await result('ps', { project: agentProject }))).toHaveLength(1);
  });

  it('shows the server’s processes and says what its init is', async () => {
    const processes = await send(client, SERVER, 'system.processes', { filter: 'dockerd' });
    expect(processes.result).toMatchObject({
      scope: 'host',
      processes: [{ name: 'dockerd', user: 'root' }],
    });
    const services = await send(client, SERVER, 'system.services');
    expect(services.result).toMatchObject({ scope: 'host', init: 'bash', known: false });
  });
});
