import { describe, expect, it } from 'vitest';
import { type GateRequest, gateCommand } from './command-gate.ts';

const REQUEST: GateRequest = {
  method: 'agent.ping',
  params: {},
  access: 'admin',
  ceiling: 'admin',
  capabilities: undefined,
  timeoutMs: undefined,
};

function gate(request: Partial<GateRequest>) {
  const { params, timeoutMs } = gateCommand({ ...REQUEST, ...request });
  return { params, timeoutMs };
}

const exec = (params: object, timeoutMs?: number) =>
  gate({ method: 'system.exec', params: { command: 'true', ...params }, timeoutMs });
const stop = (params: object, timeoutMs?: number) =>
  gate({ method: 'docker.containers.stop', params: { container: 'db', ...params }, timeoutMs });
const restart = (params: object) =>
  gate({ method: 'docker.containers.restart', params: { container: 'db', ...params } });

describe('the time limit of a call', () => {
  it('is the method’s own unless the caller gives one', () => {
    expect(gate({}).timeoutMs).toBe(10_000);
    expect(gate({ timeoutMs: 700 }).timeoutMs).toBe(700);
  });

  it('leaves a method that stops itself time to say so', () => {
    expect(exec({})).toEqual({ params: { command: 'true' }, timeoutMs: 65_000 });
    expect(exec({ timeout: 5 }).timeoutMs).toBe(10_000);
  });

  it('passes the caller’s limit on to a method that stops itself, in whole seconds', () => {
    expect(exec({}, 1_500)).toEqual({
      params: { command: 'true', timeout: 2 },
      timeoutMs: 6_500,
    });
  });

  it('keeps the caller’s limit beside the one it wrote into the params', () => {
    expect(exec({ timeout: 100 }, 2_000)).toEqual({
      params: { command: 'true', timeout: 100 },
      timeoutMs: 2_000,
    });
  });

  it('leaves the method time to say what it did when the caller waits as long or longer', () => {
    expect(exec({ timeout: 2 }, 2_000).timeoutMs).toBe(7_000);
    expect(exec({ timeout: 2 }, 60_000).timeoutMs).toBe(7_000);
  });

  it('adds the grace that a container is given to the usual time', () => {
    expect(stop({}).timeoutMs).toBe(40_000);
    expect(stop({ timeout: 120 })).toEqual({
      params: { container: 'db', timeout: 120 },
      timeoutMs: 150_000,
    });
    expect(restart({}).timeoutMs).toBe(60_000);
    expect(restart({ timeout: 0 }).timeoutMs).toBe(60_000);
  });

  it('leaves the grace alone when the caller gives a limit', () => {
    expect(stop({}, 1_000)).toEqual({ params: { container: 'db' }, timeoutMs: 1_000 });
  });
});

describe('the limit of a method that ends by itself only when it follows', () => {
  const logs = (params: object, timeoutMs?: number) =>
    gate({ method: 'docker.containers.logs', params: { container: 'db', ...params }, timeoutMs });

  it('is the caller’s alone otherwise: agents of the first deployment know no such param', () => {
    expect(logs({})).toEqual({ params: { container: 'db' }, timeoutMs: 30_000 });
    expect(logs({}, 60_000)).toEqual({ params: { container: 'db' }, timeoutMs: 60_000 });
    expect(logs({ follow: false }, 60_000).params).not.toHaveProperty('timeout');
  });

  it('is passed on when it follows', () => {
    // Its answer comes when what it put out was read, or was not for so long that it is ended.
    expect(logs({ follow: true }).timeoutMs).toBe(86_400_000 + 605_000);
    expect(logs({ follow: true }, 60_000)).toEqual({
      params: { container: 'db', follow: true, timeout: 60 },
      timeoutMs: 60_000 + 605_000,
    });
    expect(logs({ timeout: 120 }).timeoutMs).toBe(120_000 + 605_000);
  });
});

describe('a refusal', () => {
  it('names methods of the same family for one that does not exist', () => {
    expect(() => gate({ method: 'docker.images.fetch' })).toThrow(/docker\.images\.pull/);
    expect(() => gate({ method: 'nothing' })).toThrow(
      expect.objectContaining({ name: 'METHOD_NOT_FOUND', facts: { method: 'nothing' } }),
    );
  });

  it('says which param is wrong', () => {
    expect(() => stop({ timeout: 'soon' })).toThrow(
      expect.objectContaining({
        name: 'INVALID_PARAMS',
        message: expect.stringMatching('timeout'),
      }),
    );
  });

  it('is of params that nest deeper than a message may, the message around them counted', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    const env = (depth: number) => exec({ env: { A: nested(depth) } });
    expect(() => env(61)).toThrow(
      expect.objectContaining({ message: expect.stringMatching('env') }),
    );
    expect(() => env(62)).toThrow(
      expect.objectContaining({ name: 'INVALID_PARAMS', message: expect.stringMatching('nest') }),
    );
  });

  it('counts the access that a param needs, beyond the method’s own', () => {
    const inspect = (params: object) =>
      gate({
        method: 'docker.containers.inspect',
        params: { container: 'db', ...params },
        access: 'read',
      });
    expect(inspect({ reveal_env: false })).toBeDefined();
    expect(() => inspect({ reveal_env: true })).toThrow(
      expect.objectContaining({
        name: 'ACCESS_DENIED',
        facts: expect.objectContaining({ needed: 'admin' }),
      }),
    );
  });

  it('says which access is needed and which is granted, the lower of caller’s and agent’s', () => {
    expect(() =>
      gate({ method: 'docker.volumes.prune', access: 'operate', ceiling: 'admin' }),
    ).toThrow(
      expect.objectContaining({
        name: 'ACCESS_DENIED',
        facts: { method: 'docker.volumes.prune', needed: 'admin', granted: 'operate' },
      }),
    );
  });

  it('holds the caller’s access even for what passes an agent’s ceiling', () => {
    expect(() => gate({ method: 'config.update', access: 'read', ceiling: 'admin' })).toThrow(
      expect.objectContaining({ name: 'ACCESS_DENIED' }),
    );
  });
});
