import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import { TomoError } from '../../protocol/errors.ts';
import { VERSION } from '../../protocol/version.ts';
import { commandContext, listeningContext } from '../../test/support/command-context.ts';
import { MetricsSampler } from '../collectors/metrics.ts';
import type { EngineProbe } from '../engine-probe.ts';
import { type SystemContext, systemHandlers } from './system.ts';

const signal = new AbortController().signal;
const context = commandContext({ signal });
const answering: EngineProbe = {
  version: async () => ({ version: '27.1', api_version: '1.46' }),
  counts: async () => ({ running: 0, stopped: 0 }),
  id: async () => 'ENGINE',
};

function handlers(options: Partial<SystemContext> = {}) {
  return systemHandlers({
    engine: answering,
    sampler: new MetricsSampler(answering),
    access: 'operate',
    shell: async () => ({
      scope: 'container',
      entrance: [],
      environment: { PATH: process.env['PATH'] ?? '', FROM_AGENT: 'yes' },
    }),
    ...options,
  });
}

function info(replaced: Partial<EngineProbe> = {}) {
  const engine = { ...answering, ...replaced };
  return handlers({ engine, engineLimitMs: 20 })['system.info']({}, context);
}

describe('system.info', () => {
  it('tells what the server, its engine and this agent are', async () => {
    const result = await info();
    expect(CATALOGUE['system.info'].result.parse(result)).toEqual({
      os: expect.any(String),
      kernel: os.release(),
      arch: os.machine(),
      hostname: os.hostname(),
      docker_version: '27.1',
      cpus: os.cpus().length,
      memory_total: os.totalmem(),
      uptime_seconds: expect.any(Number),
      agent_version: VERSION,
      node_version: process.version,
      exec_scope: 'container',
      access: 'operate',
      docker: { available: true, version: '27.1', api_version: '1.46' },
    });
  });

  it('says why no engine answers', async () => {
    const result = await info({
      version: async () => {
        throw new TomoError('DOCKER_NOT_PERMITTED', 'not in group docker');
      },
    });
    expect(result).toMatchObject({
      docker_version: 'unknown',
      docker: {
        available: false,
        error: { name: 'DOCKER_NOT_PERMITTED', message: 'not in group docker' },
      },
    });
  });

  it('does not wait for an engine that hangs', async () => {
    const result = await info({ version: () => new Promise<never>(() => undefined) });
    expect(result).toMatchObject({ docker: { error: { name: 'DOCKER_UNAVAILABLE' } } });
  });

  it('shows nothing of an unforeseen fault', async () => {
    const result = await info({
      version: async () => {
        throw new RangeError('inner detail');
      },
    });
    expect(JSON.stringify(result)).not.toContain('inner detail');
    expect(result).toMatchObject({ docker: { error: { name: 'INTERNAL_ERROR' } } });
  });
});

describe('system.exec', () => {
  it('runs in / by default, with the agent’s and the caller’s environment, and says where', async () => {
    const params = { command: 'pwd; echo $FROM_AGENT $MINE', timeout: 20, env: { MINE: 'too' } };
    const result = await handlers()['system.exec'](params, context);
    expect(CATALOGUE['system.exec'].result.parse(result)).toEqual({
      stdout: '/\nyes too\n',
      stderr: '',
      exit_code: 0,
      scope: 'container',
      timed_out: false,
      truncated: false,
    });
  });

  it('passes its output on while it runs', async () => {
    const { context: listening, written } = listeningContext();
    const seen = Promise.withResolvers<void>();
    const write = async (stream: 'stdout' | 'stderr', data: Buffer) => {
      await listening.output.write(stream, data);
      seen.resolve();
    };
    const live = { ...listening, output: { ...listening.output, write } };
    const controller = new AbortController();
    const params = { command: 'echo first; sleep 100', timeout: 60 };
    const running = handlers()['system.exec'](params, { ...live, signal: controller.signal });
    await seen.promise;
    controller.abort();
    await expect(running).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    expect(written).toEqual([{ stream: 'stdout', text: 'first\n' }]);
  });

  it('takes its time limit in seconds', async () => {
    const params = { command: 'sleep 100', timeout: 1, cwd: '/tmp' };
    const result = await handlers()['system.exec'](params, context);
    expect(result).toMatchObject({ exit_code: -1, timed_out: true });
  });
});

describe('system.get_metrics and metrics.get', () => {
  it('give the same measurement', async () => {
    const { 'system.get_metrics': first, 'metrics.get': second } = handlers();
    const a = await first({}, context);
    const b = await second({}, context);
    expect(CATALOGUE['metrics.get'].result.parse(b)).toMatchObject({ cpu: a.cpu });
  });
});
