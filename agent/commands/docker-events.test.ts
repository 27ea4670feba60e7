import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { CATALOGUE, type ParamsInputOf } from '../../protocol/commands/catalogue.ts';
import { ENGINE_EVENTS_MAX_BYTES, ENGINE_EVENTS_MAX_COUNT } from '../../protocol/limits.ts';
import { commandContext, listeningContext } from '../../test/support/command-context.ts';
import { startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { engineEvents } from './docker-events.ts';

type Params = ParamsInputOf<'docker.events'>;

const NANOS = 1_700_000_000_000_000_000n;

const BARE_EVENT = {
  time: '1970-01-01T00:00:00.000Z',
  type: 'daemon',
  action: '',
  id: '',
  attributes: {},
};

function line(name: string, at = 0): string {
  const Actor = { ID: `id-${name}`, Attributes: { name } };
  const event = JSON.stringify({ Type: 'container', Action: 'die', Actor });
  return `${event.slice(0, -1)},"timeNano":${NANOS + BigInt(at) * 1_000_000_000n}}\n`;
}

function call(host: string, params: Params, context = commandContext()) {
  const parsed = CATALOGUE['docker.events'].params.parse(params);
  return engineEvents(new DockerEngine(host))(parsed, context);
}

function queryOf(url: string): URLSearchParams {
  return new URL(url, 'http://engine').searchParams;
}

describe('docker.events', () => {
  it('answers what the engine remembers of the last ten minutes', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      response.write(`${line('a')}{"Type":"daemon"}\n`);
      response.end(line('b', 1));
    });
    expect(await call(engine.host, { filters: { type: 'container', event: ['die'] } })).toEqual({
      events: [
        event('a', '2023-11-14T22:13:20.000Z'),
        BARE_EVENT,
        event('b', '2023-11-14T22:13:21.000Z'),
      ],
    });
    const query = queryOf(engine.calls[0]?.url ?? '');
    expect(query.get('filters')).toBe('{"type":["container"],"event":["die"]}');
    expect(Number(query.get('until')) - Number(query.get('since'))).toBe(600);
    expect(Math.abs(Number(query.get('until')) - Date.now() / 1_000)).toBeLessThan(60);
  });

  it('shows that a command was run in a container, but not which', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      for (const action of ['exec_create: sh -c secret', 'exec_die', 'health_status: healthy']) {
        response.write(`${JSON.stringify({ Type: 'container', Action: action })}\n`);
      }
      response.end();
    });
    const { events = [] } = await call(engine.host, {});
    expect(events.map(({ action }) => action)).toEqual([
      'exec_create',
      'exec_die',
      'health_status: healthy',
    ]);
  });

  it('asks for the span it is told, and for none of the time to come', async () => {
    await using engine = await startScriptedEngine((_call, response) => void response.end());
    await call(engine.host, { since: 100, until: '200.5' });
    await call(engine.host, { since: 100, until: '2999-01-01' });
    const [past, future] = engine.calls.map(({ url }) => queryOf(url));
    expect(past?.get('since')).toBe('100.000000000');
    expect(past?.get('until')).toBe('200.500000000');
    expect(Number(future?.get('until'))).toBeLessThan(Date.now() / 1_000 + 1);
  });

  it.each([
    ['too many', ENGINE_EVENTS_MAX_COUNT + 10, 1],
    ['too large ones', 20, ENGINE_EVENTS_MAX_BYTES / 16],
  ])('keeps the newest of %s', async (_what, count, bytes) => {
    await using engine = await startScriptedEngine((_call, response) => {
      for (let at = 0; at < count; at += 1) response.write(line('x'.repeat(bytes), at));
      response.end(line('last', count));
    });
    const { events = [], truncated } = await call(engine.host, {});
    expect(truncated).toBe(true);
    expect(events.at(-1)?.attributes).toEqual({ name: 'last' });
    expect(events.length).toBeLessThanOrEqual(ENGINE_EVENTS_MAX_COUNT);
    expect(JSON.stringify(events).length).toBeLessThan(ENGINE_EVENTS_MAX_BYTES + 10_000);
  });

  it('follows on where a connection broke: no event is lost or doubled', async () => {
    const controller = new AbortController();
    const { context, written } = listeningContext();
    await using engine = await startScriptedEngine((_call, response) => {
      const round = engine.calls.length;
      if (round === 1) {
        response.write(line('a') + line('b', 5), () => response.destroy());
      } else if (round === 2) {
        response.end(line('b', 5) + line('c', 5) + line('d', 6));
      } else {
        response.write(line('d', 6) + line('e', 7));
      }
    });
    const output = {
      ...context.output,
      write: async (stream: 'stdout' | 'stderr', data: Buffer) => {
        await context.output.write(stream, data);
        if (data.includes('"e"')) controller.abort();
      },
    };
    const { signal } = controller;
    const following = call(engine.host, { follow: true }, commandContext({ signal, output }));
    await expect(following).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    const names = written.map(({ text }) => JSON.parse(text).attributes.name);
    expect(names).toEqual(['a', 'b', 'c', 'd', 'e']);
    const [first, second] = engine.calls.map(({ url }) => queryOf(url));
    expect(first?.has('since')).toBe(false);
    expect(second?.get('since')).toBe('1700000004.000000000');
  });

  it('ends at `until`, and when its time is up', async () => {
    await using engine = await startScriptedEngine((incoming, response) => {
      const asksForEnd = queryOf(incoming.url).has('until');
      response.writeHead(200).write(line('a'));
      if (asksForEnd) response.end();
    });
    const until = Date.now() / 1_000 + 0.3;
    expect(await call(engine.host, { follow: true, until })).toEqual({ lines: 1, ended: 'until' });
    expect(await call(engine.host, { follow: true, timeout: 1 })).toEqual({
      lines: 1,
      ended: 'timeout',
    });
  });

  it('fails at once where there is no engine to begin with', async () => {
    await expect(call('unix:///no/such/socket', { follow: true })).rejects.toMatchObject({
      name: 'DOCKER_UNAVAILABLE',
    });
  });
});

function event(name: string, time: string) {
  return { time, type: 'container', action: 'die', id: `id-${name}`, attributes: { name } };
}
