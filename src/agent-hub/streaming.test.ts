import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import {
  OUTPUT_KEPT_OVERALL_MAX_BYTES,
  PIECE_MAX_BYTES,
  STREAM_WINDOW_BYTES,
} from '../../protocol/limits.ts';
import { answerPing, parkCandidate } from '../../test/support/candidate.ts';
import { type FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { eventually, type Joined, startHub, type TestHub } from '../../test/support/hub.ts';
import { LOGS, streaming, told } from '../../test/support/streaming-command.ts';

const HELLO = { protocol: 1, instance_id: 'p1' };
const ALL = { offset: 0, maxChars: 10_000_000 };
const ACK = '$/ack';
const CANCEL = '$/cancelRequest';

function put(agent: FakeAgent, id: string, at: number, data: string, stream = 'stdout'): void {
  agent.notify('$/progress', { id, seq: 0, stream, data, at });
}

/** A round trip afterwards shows that what was sent before it has been read. */
async function settled(test: TestHub, { agent, agentId }: Pick<Joined, 'agent' | 'agentId'>) {
  const call = test.call(agentId);
  const { id } = await agent.request();
  agent.answer(id, PONG);
  await call;
}

function textOf(test: TestHub, id: string, offset = 0): string | undefined {
  const page = test.hub.outputs.read(id, { ...ALL, offset });
  return page?.parts.map(({ stream, text }) => `${stream}:${text}`).join('|');
}

describe('output of a command that runs', () => {
  it('arrives in order with its places, and is acknowledged as it is read', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { agent } = joined;
    expect(joined.welcome).toMatchObject({ limits: { stream_window_bytes: STREAM_WINDOW_BYTES } });
    const { id, call } = await streaming(test, joined);
    put(agent, id, 0, 'a€');
    put(agent, id, 4, 'b', 'stderr');
    put(agent, id, 5, 'c', 'stderr');
    put(agent, id, 6, 'd');
    await settled(test, joined);
    expect(textOf(test, id)).toBe('stdout:a€|stderr:bc|stdout:d');
    expect(textOf(test, id, 5)).toBe('stderr:c|stdout:d');
    expect(await told(agent, ACK, id)).toEqual({ id, bytes: 5 });
    put(agent, id, 7, 'e');
    agent.answer(id, LOGS);
    expect(await call).toEqual(LOGS);
    expect(textOf(test, id, 7)).toBe('stdout:e');
  });

  it('is acknowledged at once if only the newest counts', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id } = await streaming(test, joined, 'newest');
    put(joined.agent, id, 0, 'abc');
    expect(await told(joined.agent, ACK, id)).toEqual({ id, bytes: 3 });
  });

  it('wakes whoever waits for it, as steps do', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id } = await streaming(test, joined, 'none');
    const changed = test.hub.outputs.changed(id, AbortSignal.timeout(20_000));
    joined.agent.notify('$/progress', { id, seq: 0, data: 'pulling', fraction: 0.25 });
    await changed;
    expect(test.hub.outputs.lastStep(id)).toEqual({ message: 'pulling', fraction: 0.25 });
  });

  it('goes on over a new socket: what was taken is skipped, and said again', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { agentId, token } = joined;
    const { id, call } = await streaming(test, joined);
    put(joined.agent, id, 0, 'one ');
    put(joined.agent, id, 4, 'two ');
    await settled(test, joined);
    expect(textOf(test, id, 4)).toBe('stdout:two ');
    joined.agent.cut();
    await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    put(agent, id, 4, 'two ');
    put(agent, id, 8, 'three');
    expect(await told(agent, ACK, id)).toEqual({ id, bytes: 4 });
    await settled(test, { agent, agentId });
    expect(textOf(test, id, 4)).toBe('stdout:two three');
    const end = test.hub.waitForEnd(id, AbortSignal.timeout(20_000));
    agent.answer(id, LOGS);
    await end;
    expect(textOf(test, id, 8)).toBe('stdout:three');
    expect(test.hub.counters).toMatchObject({ strayProgress: 0 });
  });

  it('is taken from an earlier hub’s command, from where its agent goes on', async () => {
    const first = await startHub();
    const joined = await first.join('web-1', HELLO);
    const { agentId, token } = joined;
    const { id } = await streaming(first, joined);
    await first.hub.close();
    const test = await startHub({ database: first.database });
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id, 'unknown'] });
    expect(textOf(test, id, 90_000)).toBe('');
    put(agent, id, 100_000, 'late');
    await settled(test, { agent, agentId });
    expect(test.hub.outputs.read(id, ALL)).toMatchObject({
      offset: 100_000,
      droppedBytes: 100_000,
    });
    expect(textOf(test, id, 100_004)).toBe('');
    expect(await told(agent, ACK, id)).toEqual({ id, bytes: 100_004 });
    // Nobody knows the other one: it is not to wait for a reader.
    put(agent, 'unknown', 0, 'x');
    expect(await told(agent, ACK, 'unknown')).toEqual({ id: 'unknown', bytes: 1 });
    expect(test.hub.counters).toMatchObject({ strayProgress: 1 });
    agent.answer(id, LOGS);
    await test.hub.waitForEnd(id, AbortSignal.timeout(20_000));
    expect(await test.database.db.commands.find(id)).toMatchObject({ status: 'succeeded' });
  });

  it('is not kept if the database refuses when its agent comes back, whose answer counts', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { agentId, token } = joined;
    const { id, call } = await streaming(test, joined);
    joined.agent.cut();
    await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    await eventually(async () =>
      expect(await test.database.db.commands.find(id)).toMatchObject({ status: 'detached' }),
    );
    test.database.client.exec('ALTER TABLE commands RENAME TO away');
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    await settled(test, { agent, agentId });
    test.database.client.exec('ALTER TABLE away RENAME TO commands');
    await test.hub.telemetry.flush();
    agent.answer(id, LOGS);
    await test.hub.waitForEnd(id, AbortSignal.timeout(20_000));
    expect(await test.database.db.commands.find(id)).toMatchObject({ status: 'succeeded' });
  });
});

describe('output of a process that was replaced', () => {
  it('is taken until its commands have ended, and a cancel goes to it', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { agent: older, agentId } = joined;
    const { id, call } = await streaming(test, joined);
    const promoted = test.hub.waitForPromotion(agentId, AbortSignal.timeout(20_000));
    const { agent: newer } = await parkCandidate(test, agentId, { instance_id: 'p2' });
    await answerPing(newer);
    expect(await promoted).toBe('promoted');
    put(older, id, 0, 'on');
    await eventually(() => expect(textOf(test, id)).toBe('stdout:on'));
    expect(test.hub.cancel(agentId, id)).toBe(true);
    expect(await told(older, CANCEL, id)).toEqual({ id });
    older.answer(id, LOGS);
    expect(await call).toEqual(LOGS);
  });
});

describe('what an agent tells of commands that are not its own', () => {
  it('is counted, not acknowledged, and changes nothing', async () => {
    const test = await startHub();
    const [victim, thief] = [await test.join('web-1', HELLO), await test.join('web-2', HELLO)];
    const { id } = await streaming(test, victim);
    put(thief.agent, id, 0, 'forged');
    thief.agent.notify('$/progress', { id, seq: 0, data: 'forged' });
    thief.agent.notify('$/progress', { id, seq: 0, stream: 'result', data: '1' });
    thief.agent.notify('$/progress', { id: 7 });
    thief.agent.notify('$/progress', undefined);
    put(thief.agent, 'invented', 0, 'x');
    await settled(test, thief);
    expect(textOf(test, id)).toBe('');
    expect(test.hub.outputs.lastStep(id)).toBeUndefined();
    expect(test.hub.counters).toMatchObject({ strayProgress: 6 });
    expect(await thief.agent.next()).toMatchObject({ method: '$/stored' });
  });

  it('is counted when its command is over', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined);
    joined.agent.answer(id, LOGS);
    await call;
    put(joined.agent, id, 0, 'late');
    await settled(test, joined);
    expect(test.hub.counters).toMatchObject({ strayProgress: 1 });
    expect(textOf(test, id)).toBeUndefined();
  });

  it('has no effect from an agent that speaks the first deployment’s messages only', async () => {
    const test = await startHub();
    const joined = await test.join('web-1');
    expect(joined.welcome).not.toHaveProperty('limits');
    const { id, call } = await streaming(test, joined);
    put(joined.agent, id, 0, 'x');
    joined.agent.answer(id, LOGS);
    expect(await call).toEqual(LOGS);
    expect(textOf(test, id)).toBeUndefined();
  });
});

describe('a command that is to stop', () => {
  it('is cancelled at its agent, and ends with what that answers', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined);
    expect(test.hub.cancel(joined.agentId, id)).toBe(true);
    expect(await told(joined.agent, CANCEL, id)).toEqual({ id });
    joined.agent.fail(id, { code: 1004, message: 'cancelled' });
    await expect(call).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });

  it('is not if its agent is away, and is when it is back', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { agentId, token } = joined;
    const { id, call } = await streaming(test, joined);
    joined.agent.cut();
    await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    expect(test.hub.cancel(agentId, id)).toBe(false);
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    expect(test.hub.cancel(agentId, id)).toBe(true);
    expect(await told(agent, CANCEL, id)).toEqual({ id });
  });

  it('ends, and says why, when nobody reads its output', async () => {
    const test = await startHub({ timings: { unreadMaxMs: 50 } });
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined);
    expect(await told(joined.agent, CANCEL, id)).toEqual({ id });
    await expect(call).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
      facts: { unread_ms: 50 },
    });
  });

  it('ends likewise when it is detached: its row says so', async () => {
    const test = await startHub({ timings: { unreadMaxMs: 200 } });
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined);
    joined.agent.cut();
    await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    const { agent } = await test.rejoin(joined.token, { ...HELLO, held: [id] });
    const end = test.hub.waitForEnd(id, AbortSignal.timeout(20_000));
    expect(await told(agent, CANCEL, id)).toEqual({ id });
    await end;
    expect(await test.database.db.commands.find(id)).toMatchObject({
      status: 'cancelled',
      errorCode: 1004,
      errorMessage: expect.stringContaining('Nobody read'),
    });
  });
});

describe('1,000 commands that stream and that nobody reads', () => {
  it('take a bounded memory, and leave other agents served', async () => {
    const test = await startHub();
    const idle = await test.join('idle', HELLO);
    const agents = await Promise.all(
      Array.from({ length: 4 }, (_, index) => test.join(`busy-${index}`, HELLO)),
    );
    const collect = collector();
    const before = collect();
    const data = 'x'.repeat(PIECE_MAX_BYTES);
    let highest = 0;
    for (const joined of agents) {
      const ids: string[] = [];
      while (ids.length < 250) ids.push((await streaming(test, joined)).id);
      for (let at = 0; at < STREAM_WINDOW_BYTES; at += data.length) {
        for (const id of ids) put(joined.agent, id, at, data);
        while (joined.agent.socket.bufferedAmount > 0) {
          await settled(test, idle);
          highest = Math.max(highest, test.hub.outputs.bytes);
        }
      }
    }
    for (const joined of agents) await settled(test, joined);
    expect(highest).toBeGreaterThan(OUTPUT_KEPT_OVERALL_MAX_BYTES / 2);
    expect(highest).toBeLessThanOrEqual(OUTPUT_KEPT_OVERALL_MAX_BYTES);
    await eventually(() =>
      expect(collect() - before).toBeLessThan(1.5 * OUTPUT_KEPT_OVERALL_MAX_BYTES),
    );
  });
});

/** Collects garbage; answers the bytes in use. */
function collector(): () => number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  return () => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
}
