import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../docker-engine/docker-engine.ts';
import type { Access } from '../protocol/access.ts';
import { methodNames } from '../protocol/commands/catalogue.ts';
import { TomoError } from '../protocol/errors.ts';
import { commandContext } from '../test/support/command-context.ts';
import { MetricsSampler } from './collectors/metrics.ts';
import { allHandlers } from './commands/all-handlers.ts';
import type { Handlers } from './commands/handler.ts';
import { HubTransport } from './connection/hub-transport.ts';
import { createDispatcher, type Dispatch } from './dispatcher.ts';
import { LiveSettings } from './live-settings.ts';
import { OwnContainer } from './own-container/own-container.ts';
import type { Guard } from './own-container/self-protection.ts';

const engine = new DockerEngine('unix:///no/such/socket');
const handlers = allHandlers({
  engine,
  sampler: new MetricsSampler(engine),
  settings: new LiveSettings(),
  access: 'admin',
  shell: async () => ({ scope: 'host', entrance: [], environment: {} }),
  own: new OwnContainer({ engine, dataDir: '/data', isContained: false }),
  hubAddress: { url: 'ws://127.0.0.1:1/ws/agent', fingerprint: undefined },
  transport: new HubTransport(),
  rotateToken: async () => undefined,
  lowerAccess: async () => undefined,
  prepareMove: () => undefined,
  dataDir: '/data',
  dockerHost: undefined,
  hasParent: false,
  stop: () => undefined,
  onRestartFailure: () => undefined,
});
const open: Guard = async () => undefined;
const context = commandContext();

interface Started {
  readonly dispatch: Dispatch;
  readonly lines: Record<string, unknown>[];
}

function start(
  access: Access | { readonly access: Access } = 'admin',
  replaced: Partial<Handlers> = {},
  guard: Guard = open,
): Started {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
  };
  const log = pino({ level: 'trace' }, { write });
  return {
    dispatch: createDispatcher({
      handlers: { ...handlers, ...replaced },
      ceiling: typeof access === 'string' ? { access } : access,
      guard,
      log,
    }),
    lines,
  };
}

async function refusal(running: Promise<unknown>): Promise<TomoError> {
  const error: unknown = await running.catch((reason: unknown) => reason);
  if (!(error instanceof TomoError)) throw new Error('expected a TomoError', { cause: error });
  return error;
}

describe('createDispatcher', () => {
  it('has a handler for every method of the catalogue and no other', () => {
    expect(Object.keys(handlers).toSorted()).toEqual(methodNames().toSorted());
  });

  it('hands parsed params, with their defaults, and the context to the handler', async () => {
    const seen: unknown[] = [];
    const { dispatch } = start('admin', {
      'system.exec': async (...args) => {
        seen.push(...args);
        return { stdout: '', stderr: '', exit_code: 0 };
      },
    });
    const result = await dispatch('system.exec', { command: 'true' }, context);
    expect(seen).toEqual([{ command: 'true', timeout: 60 }, context]);
    expect(result).toHaveProperty('exit_code', 0);
  });

  it.each([
    ['system.exce', 'system.exec'],
    ['docker.container.list', 'docker.containers.list'],
    ['nonsense', 'docker.containers'],
    ['toString', 'Families'],
  ])('refuses the unknown method %s and names %s', async (method, named) => {
    const error = await refusal(start().dispatch(method, {}, context));
    expect(error.name).toBe('METHOD_NOT_FOUND');
    expect(error.message).toContain(named);
  });

  it.each([
    ['system.exec', { command: 7 }, 'command: '],
    ['system.exec', {}, 'command: '],
    ['system.exec', { command: 'x', timeout: 0 }, 'timeout: '],
    ['agent.ping', { loud: true }, 'loud'],
    ['config.update', { metrics_interval: 1 }, 'metrics_interval: '],
  ])('refuses %s with params %j and names the field', async (method, params, named) => {
    const error = await refusal(start().dispatch(method, params, context));
    expect(error.name).toBe('INVALID_PARAMS');
    expect(error.message).toContain(named);
  });

  it.each([
    ['read', 'system.exec', 'admin'],
    ['read', 'docker.containers.stop', 'operate'],
    ['operate', 'system.exec', 'admin'],
  ] as const)('with %s access refuses %s, which needs %s', async (access, method, needed) => {
    const error = await refusal(start(access).dispatch(method, { command: 'true' }, context));
    expect(error.name).toBe('ACCESS_DENIED');
    expect(error.facts).toEqual({ method, needed, granted: access });
  });

  it('takes the hub’s settings whatever its access', async () => {
    const { dispatch } = start('read');
    expect(await dispatch('config.update', { metrics_interval: 10 }, context)).toMatchObject({
      status: 'ok',
    });
  });

  it('goes by the access of the moment', async () => {
    const ceiling: { access: Access } = { access: 'admin' };
    const ran = async () => ({ stdout: '', stderr: '', exit_code: 0 });
    const { dispatch } = start(ceiling, { 'system.exec': ran });
    const run = () => dispatch('system.exec', { command: 'true' }, context);
    await expect(run()).resolves.toHaveProperty('exit_code', 0);
    ceiling.access = 'operate';
    expect((await refusal(run())).name).toBe('ACCESS_DENIED');
  });

  it.each([
    ['docker.containers.inspect', { container: 'a' }],
    ['docker.images.inspect', { image: 'a' }],
  ] as const)('hides the environment in %s, and shows it to admin only', async (method, params) => {
    const inspect = async () => ({ Id: 'x', Config: { Env: ['A=secret', 'B'] } });
    const replaced = { [method]: inspect };
    const call = (access: Access, more: object = {}) =>
      start(access, replaced).dispatch(method, { ...params, ...more }, context);
    const hidden = { Id: 'x', Config: { Env: ['A=***', '***'] } };
    expect(await call('admin')).toEqual(hidden);
    expect(await call('read', { reveal_env: false })).toEqual(hidden);
    expect(await call('admin', { reveal_env: true })).toHaveProperty('Config.Env.0', 'A=secret');
    const error = await refusal(call('operate', { reveal_env: true }));
    expect(error).toMatchObject({ name: 'ACCESS_DENIED', facts: { needed: 'admin' } });
  });

  it('grants what is within its access', async () => {
    const { dispatch } = start('read');
    expect(await dispatch('agent.ping', {}, context)).toHaveProperty('status', 'ok');
  });

  it('asks its guard with the parsed params, and carries nothing out that it refuses', async () => {
    const asked: unknown[] = [];
    const guard: Guard = async (method, params) => {
      asked.push(method, params);
      throw new TomoError('SELF_PROTECTED', 'mine');
    };
    const stop = async () => {
      throw new Error('carried out');
    };
    const { dispatch } = start('admin', { 'docker.containers.stop': stop }, guard);
    const error = await refusal(dispatch('docker.containers.stop', { container: 'a' }, context));
    expect(error.name).toBe('SELF_PROTECTED');
    expect(asked).toEqual(['docker.containers.stop', { container: 'a', timeout: 10 }]);
  });

  it('passes an error of a handler on that is meant for the caller', async () => {
    const error = new TomoError('NOT_FOUND', 'no such thing');
    const { dispatch, lines } = start('admin', {
      'agent.ping': async () => {
        throw error;
      },
    });
    expect(await refusal(dispatch('agent.ping', {}, context))).toBe(error);
    expect(lines).toMatchObject([{ level: 20, error: 'NOT_FOUND' }]);
  });

  it('tells the caller nothing of a fault, and the log everything', async () => {
    const { dispatch, lines } = start('admin', {
      'agent.ping': async () => {
        throw new RangeError('inner detail');
      },
    });
    const error = await refusal(dispatch('agent.ping', {}, context));
    expect(error.name).toBe('INTERNAL_ERROR');
    expect(error.message).not.toContain('inner detail');
    expect(lines).toMatchObject([
      {
        level: 50,
        method: 'agent.ping',
        err: { message: 'inner detail', stack: expect.any(String) },
      },
    ]);
  });
});
