import { once, setMaxListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { PONG, textFrame } from '../../test/support/fake-agent.ts';
import { eventually, startHub } from '../../test/support/hub.ts';

const TIMINGS = { sweepMs: 10, pingAfterMs: 60, silenceMaxMs: 250, silenceGraceMs: 300 };
const MUTE = { autoPong: false };

describe('a silent agent', () => {
  it('is pinged, then cut off and said to be disconnected', async () => {
    const test = await startHub({ timings: TIMINGS });
    const { agent, agentId } = await test.join('web-1', { protocol: 1 }, MUTE);
    const call = test.call(agentId);
    const lost = expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    await once(agent.socket, 'ping');
    expect((await agent.closed).code).toBe(1006);
    await lost;
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
    expect(await test.row(agentId)).toMatchObject({ status: 'disconnected' });
  });

  it('stays when it answers pings, and is pinged again only after another silence', async () => {
    const test = await startHub({ timings: TIMINGS });
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    for (let pings = 0; pings < 8; pings += 1) await once(agent.socket, 'ping');
    expect(test.hub.connected(agentId)).toBeDefined();
    expect(test.logged.some(({ msg }) => msg === 'agent disconnected')).toBe(false);
  });

  it('is cut off without `protocol` too when it has nothing to do', async () => {
    const test = await startHub({ timings: TIMINGS });
    const { agent, agentId } = await test.join('web-1', {}, MUTE);
    const call = test.call(agentId, { id: 'c1' });
    agent.answer('c1', PONG);
    await call;
    expect((await agent.closed).code).toBe(1006);
  });
});

describe('an agent that sends slowly', () => {
  it('is heard with every byte: a frame that dribbles in outlasts the silence', async () => {
    const test = await startHub({ timings: TIMINGS });
    const { agent, agentId } = await test.join('web-1', { protocol: 1 }, MUTE);
    const call = test.call(agentId, { id: 'c1', timeoutMs: 20_000 });
    const frame = textFrame(JSON.stringify({ jsonrpc: '2.0', id: 'c1', result: PONG }));
    const silences = frame.byteLength * 20;
    expect(silences).toBeGreaterThan(4 * TIMINGS.silenceMaxMs);
    for (const byte of frame) {
      await agent.writeRaw(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await expect(call).resolves.toEqual(PONG);
  });
});

describe('an agent without `protocol` that is blocked inside a call', () => {
  it('is left alone until deadline and grace have passed, and cut off then', async () => {
    const test = await startHub({ timings: TIMINGS });
    const { agent, agentId } = await test.join('web-1', {}, MUTE);
    const started = performance.now();
    await expect(test.call(agentId, { timeoutMs: 600 })).rejects.toMatchObject({
      name: 'COMMAND_TIMED_OUT',
    });
    expect(test.hub.connected(agentId)).toBeDefined();
    await agent.closed;
    // Not a measure of speed: it must not be earlier than the agent was promised.
    expect(performance.now() - started).toBeGreaterThanOrEqual(600 + TIMINGS.silenceGraceMs);
  });

  it('is left alone as long when the caller has cancelled, of which it cannot know', async () => {
    const test = await startHub({ timings: TIMINGS });
    const { agent, agentId } = await test.join('web-1', {}, MUTE);
    const started = performance.now();
    const caller = new AbortController();
    const call = test.call(agentId, { timeoutMs: 600, signal: caller.signal });
    caller.abort();
    await expect(call).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    await agent.closed;
    expect(performance.now() - started).toBeGreaterThanOrEqual(600 + TIMINGS.silenceGraceMs);
  });

  it('is watched as usual again once its late answer has come', async () => {
    const test = await startHub({ timings: { ...TIMINGS, silenceGraceMs: 3_600_000 } });
    const { agent, agentId } = await test.join('web-1', {}, MUTE);
    await expect(test.call(agentId, { id: 'c1', timeoutMs: 10 })).rejects.toMatchObject({
      name: 'COMMAND_TIMED_OUT',
    });
    agent.answer('c1', PONG);
    expect((await agent.closed).code).toBe(1006);
  });

  it('has no such time with `protocol`, whose agents answer pings while they work', async () => {
    const test = await startHub({ timings: { ...TIMINGS, silenceGraceMs: 3_600_000 } });
    const { agentId } = await test.join('web-1', { protocol: 1 }, MUTE);
    await expect(test.call(agentId, { timeoutMs: 3_600_000 })).rejects.toMatchObject({
      name: 'CONNECTION_LOST',
    });
  });
});

describe('an agent that does not read', () => {
  it('is cut off when too much waits for it too long, although it speaks', async () => {
    const test = await startHub({ timings: { sweepMs: 10, backlogMaxMs: 50 } });
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    agent.socket.pause();
    const speaking = setInterval(() => agent.notify('agent.event', { type: 'here' }), 5);
    const lost = Array.from({ length: 40 }, () => test.call(agentId, large()));
    const errors = (await Promise.allSettled(lost)).map(
      (call) => call.status === 'rejected' && call.reason.name,
    );
    clearInterval(speaking);
    expect(new Set(errors)).toEqual(new Set(['CONNECTION_LOST', 'LIMIT_REACHED']));
    expect(test.hub.connected(agentId)).toBeUndefined();
  });

  it('is left alone when it reads again in time', async () => {
    const test = await startHub({ timings: { sweepMs: 10, backlogMaxMs: 3_600_000 } });
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    agent.socket.pause();
    const calls = Array.from({ length: 40 }, () => test.call(agentId, large()));
    void Promise.allSettled(calls);
    await expect(Promise.race(calls)).rejects.toMatchObject({ name: 'LIMIT_REACHED' });
    agent.socket.resume();
    await eventually(async () => {
      const call = test.call(agentId, { id: 'barrier' });
      agent.answer('barrier', PONG);
      await expect(call).resolves.toEqual(PONG);
    });
  });

  it('cannot fill the hub with answers to its pings', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    agent.socket.pause();
    const frame = Buffer.concat([Buffer.from([0x89, 0xfd, 0, 0, 0, 0]), Buffer.alloc(125)]);
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frame));
    while (test.hub.connected(agentId) !== undefined) await agent.writeRaw(pings);
    expect((await test.join('web-2')).welcome).toMatchObject({ type: 'registered' });
  });
});

describe('a hub that was held up itself', () => {
  it('does not take its own standstill for its agents’ silence', async () => {
    const test = await startHub({ timings: TIMINGS });
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    await once(agent.socket, 'ping');
    for (let times = 0; times < 3; times += 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * TIMINGS.silenceMaxMs);
      await once(agent.socket, 'ping');
    }
    expect(test.hub.connected(agentId)).toBeDefined();
  });
});

describe('latency', () => {
  it('is that of a ping to the agent and back', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1');
    expect(await test.hub.latency(agentId, AbortSignal.timeout(20_000))).toBeGreaterThan(0);
  });

  it('is measured for any number of callers at one time', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1');
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const signal = AbortSignal.timeout(20_000);
    setMaxListeners(0, signal);
    const latencies = Array.from({ length: 50 }, () => test.hub.latency(agentId, signal));
    for (const latency of await Promise.all(latencies)) expect(latency).toBeGreaterThan(0);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  it('is not mistaken for another ping’s', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', {}, MUTE);
    const latency = test.hub.latency(agentId, AbortSignal.timeout(20_000));
    const [payload] = await once(agent.socket, 'ping');
    agent.socket.pong('unasked');
    const call = test.call(agentId, { id: 'barrier' });
    agent.answer('barrier', PONG);
    await call;
    await expect(Promise.race([latency, Promise.resolve('none yet')])).resolves.toBe('none yet');
    agent.socket.pong(payload);
    expect(await latency).toBeGreaterThan(0);
  });

  it('is unknown for an agent that is away or does not answer in time', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', {}, MUTE);
    expect(await test.hub.latency('nobody', AbortSignal.timeout(50))).toBeUndefined();
    expect(await test.hub.latency(agentId, AbortSignal.timeout(50))).toBeUndefined();
    expect(await test.hub.latency(agentId, AbortSignal.abort())).toBeUndefined();
  });
});

/** A call of a megabyte. */
function large(): object {
  return { method: 'system.exec', params: { command: 'true', env: { A: 'x'.repeat(1_048_576) } } };
}
