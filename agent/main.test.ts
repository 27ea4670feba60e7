import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HubStandIn } from '../test/support/hub-stand-in.ts';
import { isInContainer } from './host-info.ts';

const MAIN = path.join(import.meta.dirname, 'main.ts');
const CODE = 'AAAA-BBBB-CCCC-DDDD';

let hubs: HubStandIn;
let directory = '';
let children: ChildProcess[] = [];

beforeEach(async () => {
  hubs = await HubStandIn.start();
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-main-'));
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await hubs[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

interface Agent {
  readonly child: ChildProcess;
  readonly stderr: Promise<string>;
  readonly exited: Promise<number>;
  readonly logged: (words: string) => Promise<void>;
}

interface Launch {
  readonly stdin?: 'ignore' | 'pipe';
  readonly uid?: number;
  readonly args?: readonly string[];
}

function launch(
  environment: Record<string, string>,
  { stdin = 'ignore', uid, args = [] }: Launch = {},
): Agent {
  const env = {
    PATH: process.env['PATH'] ?? '',
    SERVER_URL: hubs.url,
    DATA_DIR: path.join(directory, 'data'),
    DOCKER_HOST: 'unix:///no/such/socket',
    ...environment,
  };
  const child = spawn(process.execPath, [MAIN, ...args], {
    env,
    stdio: [stdin, 'ignore', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  children.push(child);
  const exited = once(child, 'exit').then(([code]) => Number(code));
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const stderr = once(child, 'close').then(() => log);
  const logged = async (words: string): Promise<void> => {
    while (!log.includes(words)) await once(child.stderr ?? child, 'data');
  };
  return { child, stderr, exited, logged };
}

/** Its next welcome; an agent that ended instead fails the test at once. */
async function welcome({ exited, stderr }: Agent) {
  const early = exited.then(async (code) => {
    throw new Error(`the agent ended with ${code}: ${await stderr}`);
  });
  return await Promise.race([hubs.welcome(), early]);
}

describe('a wrong configuration', () => {
  it.each([
    ['SERVER_URL', { SERVER_URL: 'http://hub.example' }],
    ['ACCESS', { ACCESS: 'root' }],
    ['SERVER_URL', { SERVER_URL: '' }],
    ['REGISTER_CODE', {}],
  ])('ends the agent with 2 and one line on %s: %j', async (named, environment) => {
    const { stderr, exited } = launch(environment);
    expect(await exited).toBe(2);
    expect(await stderr).toMatch(
      new RegExp(
        `^tomo agent: ${named}: must be .*\n$|^tomo agent: ${named}: Invalid option: .*\n$`,
      ),
    );
  });
});

describe('the helper’s work', () => {
  it('ends with 1 and the reason when it cannot be done', async () => {
    const { stderr, exited } = launch({ SERVER_URL: '' }, { args: ['uninstall'] });
    expect(await exited).toBe(1);
    expect(await stderr).toContain('tomo agent: ');
  });
});

describe('a data directory that cannot be written', () => {
  it('ends the agent with 1 and one line, before the code is spent', async () => {
    const file = path.join(directory, 'file');
    await writeFile(file, '');
    const { stderr, exited } = launch({ REGISTER_CODE: CODE, DATA_DIR: `${file}/data` });
    expect(await exited).toBe(1);
    expect(await stderr).toMatch(/^tomo agent: .*DATA_DIR.*\n$/);
  });

  it.runIf(process.getuid?.() === 0)('does so for want of permission, too', async () => {
    await chmod(directory, 0o755);
    const { stderr, exited } = launch({ REGISTER_CODE: CODE }, { uid: 65_534 });
    expect(await exited).toBe(1);
    expect(await stderr).toContain('EACCES');
  });
});

describe('the agent', () => {
  it('registers, runs commands without its own secrets, and ends with 0 on SIGTERM', async () => {
    const agent = launch({ REGISTER_CODE: CODE, LOG_LEVEL: 'trace' });
    const { child, stderr, exited } = agent;
    const { hub, hello } = await welcome(agent);
    expect(hello).toMatchObject({ type: 'register', code: CODE });
    expect(hello['host']).not.toHaveProperty('engine_id');
    const answer = await hub.call('a', 'system.exec', { command: 'env; echo ran', cwd: '/tmp' });
    expect(answer).toMatchObject({
      result: { exit_code: 0, scope: isInContainer() ? 'container' : 'host' },
    });
    expect(JSON.stringify(answer)).toContain('ran');
    expect(JSON.stringify(answer)).not.toContain(CODE);

    child.kill('SIGTERM');
    expect(await hub.closed).toBe(1001);
    expect(await exited).toBe(0);
    const log = await stderr;
    for (const line of log.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('msg');
    expect(log).not.toContain(CODE);
    expect(log).not.toContain('token-of');
  });

  it('leaves no command behind when it ends', async () => {
    const agent = launch({ REGISTER_CODE: CODE });
    const { child, exited } = agent;
    const { hub } = await welcome(agent);
    const file = path.join(directory, 'pid');
    hub.request('a', 'system.exec', {
      command: `echo $$ > ${file}.new; mv ${file}.new ${file}; sleep 100`,
    });
    let pid = '';
    while (pid === '') pid = (await readFile(file, 'utf8').catch(() => '')).trim();
    child.kill('SIGINT');
    expect(await exited).toBe(0);
    expect(await readdir(`/proc/${pid}`).catch(() => 'gone')).toBe('gone');
  });

  it('comes back with its token, and takes the stored URL when none is given', async () => {
    const first = launch({ REGISTER_CODE: CODE });
    const { hub } = await welcome(first);
    const state = path.join(directory, 'data', 'agent.json');
    await hub.call('a', 'agent.ping');
    while ((await readFile(state, 'utf8').catch(() => '')) === '') continue;
    first.child.kill('SIGTERM');
    expect(await first.exited).toBe(0);

    const { hello } = await welcome(launch({ SERVER_URL: '' }));
    expect(hello).toMatchObject({ type: 'authenticate', token: `token-of-${CODE}` });
  });

  it('refuses what is above its access', async () => {
    const { hub, hello } = await welcome(launch({ REGISTER_CODE: CODE, ACCESS: 'read' }));
    expect(hello).toHaveProperty('access', 'read');
    const answer = await hub.call('a', 'system.exec', { command: 'true' });
    expect(answer).toMatchObject({ error: { data: { name: 'ACCESS_DENIED' } } });
    expect(await hub.call('b', 'system.info')).toMatchObject({
      result: { access: 'read', docker_version: 'unknown', docker: { available: false } },
    });
  });

  it('ends with 0 when the pipe of its parent ends', async () => {
    const agent = launch({ REGISTER_CODE: CODE, TOMO_AGENT_PARENT: '1' }, { stdin: 'pipe' });
    const { child, exited } = agent;
    const { hub } = await welcome(agent);
    child.stdin?.end();
    expect(await hub.closed).toBe(1001);
    expect(await exited).toBe(0);
  });

  it.each([
    [{ TOMO_AGENT_PARENT: '1' }, 'ignore'],
    [{}, 'pipe'],
  ] as const)('runs on without such a pipe (%j, stdin %s)', async (environment, stdin) => {
    const agent = launch({ REGISTER_CODE: CODE, ...environment }, { stdin });
    const { child } = agent;
    const { hub } = await welcome(agent);
    child.stdin?.end();
    const answer = await hub.call('a', 'system.exec', { command: 'sleep 0.2; echo on' });
    expect(answer).toMatchObject({ result: { stdout: 'on\n' } });
  });

  it('ends with 0 when it is revoked and no container would start it again', async () => {
    const agent = launch({ REGISTER_CODE: CODE, TOMO_AGENT_PARENT: '1' });
    const { hub } = await welcome(agent);
    hub.socket.close(4002);
    expect(await agent.exited).toBe(0);
    expect(await readdir(path.join(directory, 'data'))).toEqual([]);
    expect((await agent.stderr).match(/was revoked/g)).toHaveLength(1);
  });

  it('ends with 0 when it is to restart and its parent starts it again', async () => {
    const agent = launch({ REGISTER_CODE: CODE, TOMO_AGENT_PARENT: '1' }, { stdin: 'pipe' });
    const { hub } = await welcome(agent);
    expect(await hub.call('a', 'agent.restart')).toMatchObject({
      result: { status: 'restarting' },
    });
    expect(await hub.closed).toBe(1001);
    expect(await agent.exited).toBe(0);
  });

  it('ends with 1 when its only code is refused and no container would start it again', async () => {
    const agent = launch({ REGISTER_CODE: CODE, TOMO_AGENT_PARENT: '1' });
    const hub = await hubs.accept();
    await hub.next();
    hub.refuse('CODE_EXPIRED', 4001);
    expect(await agent.exited).toBe(1);
    expect(await agent.stderr).toContain('call install_agent again');
  });

  it.runIf(isInContainer())(
    'stays idle in a container when it is revoked, until its end',
    async () => {
      const agent = launch({ REGISTER_CODE: CODE });
      const { child, exited } = agent;
      const { hub } = await welcome(agent);
      hub.socket.close(4002);
      await agent.logged('was revoked');
      expect(child.exitCode).toBeNull();
      child.kill('SIGTERM');
      expect(await exited).toBe(0);
    },
  );
});
