import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { MetricsSampler } from '../agent/collectors/metrics.ts';
import type { CommandContext } from '../agent/commands/handler.ts';
import { systemHandlers } from '../agent/commands/system.ts';
import { Session } from '../agent/connection/session.ts';
import { RunningCommands } from '../agent/running-commands.ts';
import { DockerEngine } from '../docker-engine/docker-engine.ts';
import { CATALOGUE } from '../protocol/commands/catalogue.ts';
import { welcomeSchema } from '../protocol/handshake.ts';
import { commandContext } from './support/command-context.ts';
import { startHub, type TestHub } from './support/hub.ts';

const LOGS = { container_id: 'c1', logs: '', truncated: false };
const PATH = { PATH: process.env['PATH'] ?? '' };
const log = pino({ level: 'silent' });

type Params = Record<string, unknown>;
type Work = (params: unknown, context: CommandContext) => Promise<unknown>;

/** The agent's own commands and session with a real hub; redials when a test says so. */
class StreamingAgent {
  readonly commands: RunningCommands;
  #hello: object;

  constructor(code: string, work: Work) {
    this.#hello = { type: 'register', code };
    this.commands = new RunningCommands({
      dispatch: async (_method, params, context) => await work(params, context),
      log,
    });
  }

  async dial(url: string): Promise<{ socket: WebSocket; session: Session }> {
    const socket = new WebSocket(url);
    onTestFinished(() => socket.terminate());
    await once(socket, 'open');
    const about = { version: '1', protocol: 1, instance_id: 'p1', held: this.commands.held() };
    socket.send(JSON.stringify({ ...this.#hello, ...about }));
    const [data] = (await once(socket, 'message')) as [Buffer];
    const welcome = welcomeSchema.parse(JSON.parse(data.toString()));
    if ('error' in welcome) throw new Error(welcome.error);
    if (welcome.type === 'registered') {
      this.#hello = { type: 'authenticate', token: welcome.token };
    }
    const session = new Session(socket, {
      commands: this.commands,
      confirms: welcome.protocol !== undefined,
      streamWindowBytes: welcome.limits?.stream_window_bytes,
      log,
      onNotification: () => undefined,
    });
    return { socket, session };
  }
}

/** Makes a method stream without loss for the test, in this process. */
function lossless(method: 'docker.containers.logs'): void {
  const entry = CATALOGUE[method];
  const { streams } = entry;
  Object.assign(entry, { streams: 'lossless' });
  onTestFinished(() => void Object.assign(entry, { streams }));
}

/** A call as the fleet makes it, with its row; what became of it is read from the row. */
async function follow(test: TestHub, agentId: string, method: string, params: Params) {
  const id = randomUUID();
  await test.database.db.commands.begin({
    id,
    agentId,
    serverId: 'web-1',
    actor: 'tester',
    origin: null,
    instanceId: null,
    method,
    params,
    startedAt: Date.now(),
  });
  const call = test.call(agentId, { id, method, params, hasRow: true, timeoutMs: 3_600_000 });
  call.catch(() => undefined);
  return { id, call };
}

function numberedLines(count: number): string {
  let text = '';
  for (let line = 0; line < count; line += 1) text += `line ${line} é漢😀\n`;
  return text;
}

it('brings a lossless output through the hub whole and once, though sockets are cut', async () => {
  lossless('docker.containers.logs');
  const text = numberedLines(60_000);
  const test = await startHub();
  const { agentId, code } = await test.install('web-1');
  const agent = new StreamingAgent(code, async (_params, { output }) => {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 9_973) {
      await output.write('stdout', bytes.subarray(at, at + 9_973));
    }
    return LOGS;
  });
  let { socket, session } = await agent.dial(test.url);
  const { id } = await follow(test, agentId, 'docker.containers.logs', { container: 'c1' });
  const { outputs } = test.hub;
  let [taken, offset, cuts] = ['', 0, 0];
  while (taken.length < text.length) {
    const page = outputs.read(id, { offset, maxChars: 30_000 });
    expect(page).toMatchObject({ offset, droppedBytes: 0 });
    taken += page?.parts.map((part) => part.text).join('') ?? '';
    offset = page?.nextOffset ?? offset;
    if (taken.length > (text.length / 4) * (cuts + 1) && cuts < 3) {
      cuts += 1;
      socket.terminate();
      await session.closed;
      ({ socket, session } = await agent.dial(test.url));
    } else if (page?.hasMore === false && taken.length < text.length) {
      await outputs.changed(id, AbortSignal.timeout(20_000));
    }
  }
  expect(cuts).toBe(3);
  expect(taken === text).toBe(true);
  await agent.commands.idle();
});

it('brings what system.exec puts out while it runs, and then its large result', async () => {
  const test = await startHub();
  const { agentId, code } = await test.install('web-1');
  const engine = new DockerEngine('unix:///no/such/socket');
  const exec = systemHandlers({
    engine,
    sampler: new MetricsSampler(engine),
    access: 'admin',
    shell: async () => ({ scope: 'host', entrance: [], environment: { ...PATH } }),
  })['system.exec'];
  const agent = new StreamingAgent(code, async (params, context) => {
    return await exec(CATALOGUE['system.exec'].params.parse(params), context);
  });
  await agent.dial(test.url);
  const command = 'echo begun; read line < "$FIFO"; yes "$line" | head -c 2999997';
  const fifo = `/tmp/tomo-streams-${randomUUID()}`;
  const params = { command: `mkfifo ${fifo}; FIFO=${fifo}; ${command}; rm ${fifo}` };
  const { id, call } = await follow(test, agentId, 'system.exec', params);
  const { outputs } = test.hub;
  while (outputs.lastStep(id)?.message !== 'begun') {
    await outputs.changed(id, AbortSignal.timeout(20_000));
  }
  await exec({ command: `echo '"quoted"' > ${fifo}`, timeout: 20 }, commandContext());
  const result = CATALOGUE['system.exec'].result.parse(await call);
  expect(result).toMatchObject({ exit_code: 0, truncated: true });
  expect(result.stdout).toHaveLength(1024 * 1024);
  expect(result.stdout.endsWith('"quoted"\n')).toBe(true);
});
