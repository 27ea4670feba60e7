import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { endForGood } from './end-for-good.ts';
import { OwnContainer } from './own-container.ts';
import { prepareRestart } from './restart-agent.ts';

const NAME = 'a1'.repeat(6);
const INSPECTED = {
  Id: 'a1'.repeat(32),
  Name: '/own',
  Image: 'i',
  Config: { Labels: { 'tomo.agent': '1' } },
  HostConfig: {},
};

/** An engine that knows this container, and answers `status` to what is to be done with it. */
async function setUp(status: number, inspected: object = INSPECTED) {
  const asked = Promise.withResolvers<string>();
  const scripted = await startScriptedEngine(({ method, url }, response) => {
    if (method === 'GET') return json(response, 200, inspected);
    asked.resolve(`${method} ${url}`);
    return json(response, status, { message: 'no' });
  });
  const engine = new DockerEngine(scripted.host);
  const options = { engine, dataDir: '/data', isContained: true, processDirectory: '/no/such' };
  const own = new OwnContainer({ ...options, hostname: NAME });
  return { scripted, engine, own, asked: asked.promise };
}

function logTo(words: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const write = (line: string) => {
    if (line.includes(words)) resolve();
  };
  return { log: pino({ level: 'trace' }, { write }), logged: promise };
}

describe('an agent that ends for good', () => {
  it('asks the engine to stop its container, and waits to be stopped', async () => {
    const { scripted, engine, own, asked } = await setUp(204);
    const ending = new AbortController();
    const { log } = logTo('');
    const ended = endForGood({ own, engine, log }, ending.signal);
    expect(await asked).toBe(`POST /containers/${INSPECTED.Id}/stop?t=5`);
    ending.abort();
    await ended;
    await scripted[Symbol.asyncDispose]();
  });

  it.each([
    ['the engine refuses', 500, INSPECTED],
    ['the container is not ours', 204, { ...INSPECTED, Config: {} }],
  ])('stays idle when %s, until it is stopped', async (_, status, inspected) => {
    const { scripted, engine, own } = await setUp(status, inspected);
    const ending = new AbortController();
    const { log, logged } = logTo('idle from now on');
    const ended = endForGood({ own, engine, log }, ending.signal);
    await logged;
    ending.abort();
    await ended;
    await scripted[Symbol.asyncDispose]();
  });
});

describe('an agent that is to restart', () => {
  it.each([204, 500])('asks the engine for it, which answers %i', async (status) => {
    const { scripted, engine, own, asked } = await setUp(status);
    const failed = Promise.withResolvers<unknown>();
    const onRestartFailure = failed.resolve;
    const stop = () => undefined;
    const { signal } = new AbortController();
    const options = { own, engine, hasParent: false, stop, onRestartFailure };
    const restart = await prepareRestart(options, signal);
    expect(scripted.calls).toHaveLength(1);
    restart();
    expect(await asked).toBe(`POST /containers/${INSPECTED.Id}/restart?t=5`);
    if (status === 500) expect(await failed.promise).toHaveProperty('name', 'DOCKER_REFUSED');
    await scripted[Symbol.asyncDispose]();
  });
});
