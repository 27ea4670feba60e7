import { describe, expect, it } from 'vitest';
import { CATALOGUE } from './catalogue.ts';
import { redactEnvironment } from './redact-environment.ts';

const inspect = CATALOGUE['docker.containers.inspect'];

describe('redactEnvironment', () => {
  it('hides the values of variables and keeps their names', () => {
    const result = { Id: 'abc', Config: { Image: 'x', Env: ['A=secret', 'B=', 'C=a=b', 'bare'] } };
    expect(redactEnvironment(inspect, {}, result)).toEqual({
      Id: 'abc',
      Config: { Image: 'x', Env: ['A=***', 'B=***', 'C=***', '***'] },
    });
  });

  it.each([
    [{ TOKEN: 'secret' }, { TOKEN: '***' }],
    ['TOKEN=secret', '***'],
    [
      [['TOKEN=secret'], 7],
      ['***', '***'],
    ],
    [null, null],
  ])('hides an environment of another shape, too: %j', (environment, hidden) => {
    expect(redactEnvironment(inspect, {}, { Config: { Env: environment } })).toEqual({
      Config: { Env: hidden },
    });
  });

  it('shows the values to a call that asks for them', () => {
    const result = { Config: { Env: ['A=secret'] } };
    expect(redactEnvironment(inspect, { reveal_env: true }, result)).toBe(result);
    expect(redactEnvironment(inspect, { reveal_env: 'true' }, result)).not.toEqual(result);
  });

  it('leaves a result without an environment as it is', () => {
    for (const result of [null, 'text', [], { Config: null }, { Other: 1 }]) {
      expect(redactEnvironment(inspect, {}, result)).toEqual(result);
    }
  });

  it('hides both environments of an image', () => {
    const environment = { Env: ['A=secret'] };
    const result = { Config: environment, ContainerConfig: environment };
    const hidden = { Env: ['A=***'] };
    expect(redactEnvironment(CATALOGUE['docker.images.inspect'], {}, result)).toEqual({
      Config: hidden,
      ContainerConfig: hidden,
    });
  });

  it('hides the environment of each service, whatever its name, and what builds them', () => {
    const entry = CATALOGUE['docker.compose.config'];
    const service = { image: 'x', environment: { A: 'secret' }, build: { args: ['B=secret'] } };
    const config = {
      services: { web: service, __proto__x: service, odd: 'text', none: null },
      configs: { page: { content: 'secret' } },
    };
    const hidden = { image: 'x', environment: { A: '***' }, build: { args: ['B=***'] } };
    expect(redactEnvironment(entry, {}, { config })).toEqual({
      config: {
        services: { web: hidden, __proto__x: hidden, odd: 'text', none: null },
        configs: { page: { content: '***' } },
      },
    });
    for (const services of [undefined, null, [], 'text']) {
      expect(redactEnvironment(entry, {}, { config: { services } })).toEqual({
        config: { services },
      });
    }
  });

  it('hides environments at every depth of a service, but no label of the name', () => {
    const entry = CATALOGUE['docker.compose.config'];
    const service = (environment: unknown, list: unknown) => ({
      labels: { environment: 'production' },
      develop: { watch: [{ action: 'sync+exec', exec: { command: ['x'], environment } }] },
      later: { hooks: [[{ environment: list }]], environment: null },
    });
    const config = {
      services: { web: service({ A: 'secret' }, ['B=secret']), environment: { image: 'x' } },
      secrets: { key: { environment: 'KEY', content: 'secret' } },
    };
    expect(redactEnvironment(entry, {}, { config })).toEqual({
      config: {
        services: { web: service({ A: '***' }, ['B=***']), environment: { image: 'x' } },
        secrets: { key: { environment: 'KEY', content: '***' } },
      },
    });
  });

  it('hides the environments of the hooks of a service, and leaves out x- keys at every depth', () => {
    const entry = CATALOGUE['docker.compose.config'];
    const hook = { command: ['x'], environment: { A: 'secret' }, 'x-note': 'secret' };
    const service = {
      image: 'x',
      post_start: [hook, { command: ['y'], environment: ['B=secret'] }, 'odd'],
      pre_stop: [hook],
      'x-common': { token: 'secret' },
      labels: ['x-kept=1'],
    };
    const config = {
      'x-top': ['secret'],
      services: { web: service },
      networks: { front: { 'x-key': { deep: 'secret' }, internal: true } },
    };
    const hidden = { command: ['x'], environment: { A: '***' } };
    expect(redactEnvironment(entry, {}, { config })).toEqual({
      config: {
        services: {
          web: {
            image: 'x',
            post_start: [hidden, { command: ['y'], environment: ['B=***'] }, 'odd'],
            pre_stop: [hidden],
            labels: ['x-kept=1'],
          },
        },
        networks: { front: { internal: true } },
      },
    });
    expect(redactEnvironment(entry, { reveal_env: true }, { config })).toEqual({ config });
  });
});
