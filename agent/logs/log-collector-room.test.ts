import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../test/support/hub.ts';
import { collectLogs } from '../../test/support/log-collecting.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';

const report = (containers: number) => ({ type: 'logs.not_collected', containers, max: 1 });

/** An engine with these containers, of which each says one thing; those that run go on until `end`. */
async function startRoomlessEngine(chosen: readonly string[], ...running: string[]) {
  const there = new Set(chosen);
  const live = new Set(running);
  const times = new Map<string, string>();
  const open = new Map<string, ServerResponse>();
  const events = Promise.withResolvers<ServerResponse>();
  const engine = await startScriptedEngine(({ url }, response) => {
    const [, id = ''] = /^\/containers\/(\w+)\//.exec(url) ?? [];
    const filters = new URL(url, 'http://engine').searchParams.get('filters') ?? '';
    if (url.startsWith('/events')) {
      response.writeHead(200).flushHeaders();
      events.resolve(response);
    } else if (url.startsWith('/containers/json')) {
      const ids = filters.includes('running') ? [...live] : [...there];
      json(
        response,
        200,
        ids.filter((each) => there.has(each)).map((Id) => ({ Id })),
      );
    } else if (url.includes('/logs')) {
      const time = times.get(id) ?? new Date().toISOString();
      times.set(id, time);
      response.write(`${time} words of ${id}\r\n`);
      if (live.has(id) && url.includes('follow=true')) open.set(id, response);
      else response.end();
    } else json(response, 200, inspected(id, live.has(id)));
  });
  onTestFinished(() => engine[Symbol.asyncDispose]());
  const emit = async (Action: string, id: string): Promise<void> => {
    const Actor = { ID: id, Attributes: { name: id } };
    const event = { Type: 'container', Action, Actor, timeNano: Date.now() * 1e6 };
    const response = await events.promise;
    await new Promise((resolve) => response.write(`${JSON.stringify(event)}\n`, resolve));
  };
  const remove = async (id: string): Promise<void> => {
    there.delete(id);
    await emit('destroy', id);
  };
  const end = (id: string): void => {
    live.delete(id);
    open.get(id)?.end();
  };
  const asked = (part: string) => engine.calls.filter(({ url }) => url.startsWith(part)).length;
  return { host: engine.host, emit, remove, end, asked };
}

function inspected(id: string, Running: boolean): object {
  const FinishedAt = new Date(Date.now() + 60_000).toISOString();
  const State = { Running, Restarting: false, StartedAt: 'once', FinishedAt };
  const Config = { Tty: true, Labels: id === 'other' ? {} : { chosen: '' } };
  return { Id: id, Name: `/${id}`, Config, HostConfig: {}, State };
}

describe('LogCollector with room for one', () => {
  it('reads one after the other what containers said that ended while it was away', async () => {
    const ids = ['one', 'two', 'three', 'four'];
    const { host } = await startRoomlessEngine(ids);
    const { lines } = await collectLogs(host, { collection: 'all', maxCount: 1 });
    for (const id of ids) await eventually(() => expect(lines(id)).toEqual([`words of ${id}`]));
  });

  it('tells of ended ones that wait, and reads them when a running one ends', async () => {
    const engine = await startRoomlessEngine(['live', 'ended', 'removed'], 'live');
    const options = { collection: 'all', maxCount: 1 } as const;
    const { lines, reports } = await collectLogs(engine.host, options);
    await eventually(() => expect(reports).toEqual([report(2)]));
    await engine.remove('removed');
    await eventually(() => expect(reports.at(-1)).toEqual(report(1)));
    engine.end('live');
    await eventually(() => expect(lines('ended')).toEqual(['words of ended']));
    await eventually(() => expect(reports.at(-1)).toEqual(report(0)));
    expect(lines('removed')).toEqual([]);
  });

  it('counts those that are too many to wait, as long as they are there', async () => {
    const ids = Array.from({ length: 1_002 }, (_, count) => `c${count}`);
    const engine = await startRoomlessEngine(['live', ...ids], 'live');
    const options = { collection: 'all', maxCount: 1 } as const;
    const { reports } = await collectLogs(engine.host, options);
    await eventually(() => expect(reports).toEqual([report(1_002)]));
    await engine.remove('c1001');
    await eventually(() => expect(reports.at(-1)).toEqual(report(1_001)));
    await engine.remove('c0');
    await eventually(() => expect(reports.at(-1)).toEqual(report(1_000)));
  });

  it('does not count what is started and not chosen', async () => {
    const engine = await startRoomlessEngine(['live', 'ended'], 'live');
    const options = { collection: { label: 'chosen' }, maxCount: 1 };
    const { reports, events } = await collectLogs(engine.host, options);
    await eventually(() => expect(reports).toEqual([report(1)]));
    const heard = Promise.withResolvers<void>();
    events.on(({ kind }) => kind === 'event' && heard.resolve());
    await engine.emit('start', 'other');
    await heard.promise;
    const looks = engine.asked('/containers/json');
    await eventually(() => expect(engine.asked('/containers/json')).toBeGreaterThan(looks + 4));
    expect(reports).toEqual([report(1)]);
  });

  it('forgets a removed container, though the word that its lines are stored comes later', async () => {
    const engine = await startRoomlessEngine([]);
    const options = { collection: 'all', maxCount: 1, acks: false } as const;
    const { lines, batches, ack, dataDir } = await collectLogs(engine.host, options);
    await engine.emit('start', 'job');
    await eventually(() => expect(lines('job')).toHaveLength(1));
    await engine.remove('job');
    await engine.emit('start', 'next');
    // There is room for it when the other's follower has ended.
    await eventually(() => expect(engine.asked('/containers/next/')).toBeGreaterThan(0));
    ack(1);
    await eventually(() => expect(batches).toHaveLength(2));
    ack(2);
    const read = () => readFile(path.join(dataDir, 'log-positions.json'), 'utf8');
    await eventually(async () => expect(await read()).toContain('next'));
    expect(Object.keys(JSON.parse(await read()).positions)).toEqual(['next']);
  });
});
