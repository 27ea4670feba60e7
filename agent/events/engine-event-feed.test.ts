import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { requireDocker } from '../../test/support/docker-engine.ts';
import { DockerFixture } from '../../test/support/docker-fixture.ts';
import { eventually } from '../../test/support/hub.ts';
import { WORKLOAD_IMAGE } from '../../test/support/workload-image.ts';
import { EngineEventFeed, type EngineEventFeedOptions } from './engine-event-feed.ts';
import { EngineEvents, type EngineNews } from './engine-events.ts';

type Sent = Record<string, unknown>;

const log = pino({ level: 'silent' });
const stack: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (let end = stack.pop(); end !== undefined; end = stack.pop()) await end();
});

/** Events that a test makes up. */
class MadeUpEvents extends EngineEvents {
  #listener: (news: EngineNews) => void = () => undefined;

  constructor() {
    super({ engine: new DockerEngine('unix:///no/such/socket'), log });
  }

  override start(): void {}

  override on(listener: (news: EngineNews) => void): () => void {
    this.#listener = listener;
    return () => undefined;
  }

  tell(news: EngineNews): void {
    this.#listener(news);
  }

  event(type: string, name: string, isHelper = false): void {
    const detail = { container: name };
    this.tell({ kind: 'event', event: { type, id: name, name, at: 0, detail, isHelper } });
  }
}

function start(options: Partial<EngineEventFeedOptions> = {}) {
  const events = new MadeUpEvents();
  const feed = new EngineEventFeed({ events, ...options });
  stack.push(async () => feed[Symbol.dispose]());
  return { events, feed };
}

function attach(feed: EngineEventFeed) {
  const sent: Sent[] = [];
  const detach = feed.attach((method, params) => {
    expect(method).toBe('agent.event');
    sent.push({ ...params });
  });
  return { sent, detach };
}

describe('EngineEventFeed', () => {
  it('tells events as they come, each with a number', () => {
    const { events, feed } = start();
    const { sent } = attach(feed);
    events.event('container.start', 'web');
    events.event('container.die', 'web');
    events.event('container.start', 'a helper', true);
    expect(sent).toEqual([
      { type: 'container.start', container: 'web', seq: 1 },
      { type: 'container.die', container: 'web', seq: 2 },
    ]);
  });

  it('keeps what happens while the hub is away, and tells it once', () => {
    const { events, feed } = start();
    const { sent, detach } = attach(feed);
    events.event('container.start', 'web');
    feed.notified('events.ack', { seq: 1 });
    detach();
    events.event('container.die', 'web');
    const again = attach(feed);
    expect(sent).toHaveLength(1);
    expect(again.sent.map(({ type }) => type)).toEqual(['container.die']);
    feed.notified('events.ack', { seq: 2 });
    expect(attach(feed).sent).toEqual([]);
  });

  it('tells what else the agent reports, whatever the engine does', () => {
    const { events, feed } = start({ burstCount: 1 });
    events.event('container.start', 'web');
    events.event('container.start', 'web');
    feed.report({ type: 'logs.not_collected', containers: 3 });
    expect(attach(feed).sent).toEqual([
      { type: 'container.start', container: 'web', seq: 1 },
      { type: 'logs.not_collected', containers: 3, seq: 2 },
    ]);
  });

  it('sends again what the hub does not acknowledge', async () => {
    const { events, feed } = start({ resendMs: 20 });
    const { sent } = attach(feed);
    events.event('container.start', 'web');
    await eventually(() => expect(sent.length).toBeGreaterThan(1));
    feed.notified('events.ack', { seq: 'no number' });
    feed.notified('other', { seq: 1 });
    expect(new Set(sent.map(({ seq }) => seq))).toEqual(new Set([1]));
  });

  it('keeps the newest of very many, and counts the rest', async () => {
    const { events, feed } = start({ heldMaxCount: 10, summaryMs: 20, burstCount: 1_000 });
    for (let count = 0; count < 30; count += 1) events.event('container.start', `c${count}`);
    await eventually(() => {
      const types = attach(feed).sent.map(({ type }) => type);
      expect(types).toContain('engine.summary');
    });
    const { sent } = attach(feed);
    expect(sent).toHaveLength(10);
    const summary = sent.find(({ type }) => type === 'engine.summary');
    expect(summary?.['events']).toEqual({ 'container.start': 20 });
  });

  it('tells that the engine is away and back, and nothing of one that comes for the first time', () => {
    const { events, feed } = start();
    const { sent } = attach(feed);
    for (const kind of ['up', 'down', 'up'] as const) events.tell({ kind });
    expect(sent.map(({ type }) => type)).toEqual(['engine_down', 'engine_up']);
  });
});

const host = requireDocker();

describe.skipIf(host === undefined)('EngineEventFeed beside a container in a crash loop', () => {
  let docker: DockerFixture;

  beforeAll(() => {
    docker = new DockerFixture(host ?? '');
    return () => docker.cleanUp();
  });

  it('tells some of a hundred restarts and counts the others', async () => {
    const engine = new DockerEngine(host);
    const events = new EngineEvents({ engine, log });
    stack.push(() => events[Symbol.asyncDispose]());
    let deaths = 0;
    const name = docker.name('loop');
    events.on((news) => {
      if (news.kind !== 'event' || news.event.name !== name) return;
      if (news.event.type === 'container.die') deaths += 1;
    });
    const feed = new EngineEventFeed({ events, burstCount: 10, perMinuteCount: 1, summaryMs: 200 });
    stack.push(async () => feed[Symbol.dispose]());
    const sent: Sent[] = [];
    feed.attach((_method, params) => {
      sent.push({ ...params });
      feed.notified('events.ack', { seq: sent.at(-1)?.['seq'] });
    });
    await eventually(() => expect(events.isUp).toBe(true));
    await docker.cli(
      'create',
      '--name',
      name,
      '--network',
      'none',
      WORKLOAD_IMAGE,
      'sh',
      '-c',
      'exit 3',
    );
    for (let count = 0; count < 100; count += 1) {
      const seen = deaths;
      await engine.request({ method: 'POST', path: `/containers/${name}/start` });
      await eventually(() => expect(deaths).toBe(seen + 1));
    }
    const isTold = (one: Sent): boolean => one['container'] === name;
    // Of all kinds: other tests use the engine too, and the summaries count theirs with these.
    const counted = (): number =>
      sent.reduce((sum, one) => {
        const { [name]: more = 0 } = (one['names'] ?? {}) as Record<string, number>;
        return sum + more + (isTold(one) ? 1 : 0);
      }, 0);
    await eventually(() => expect(counted()).toBe(1 + 100 + 100));
    expect(sent.filter(isTold).length).toBeLessThan(15);
    expect(sent.find((one) => isTold(one) && one['type'] === 'container.die')?.['exit_code']).toBe(
      3,
    );
  }, 180_000);
});
