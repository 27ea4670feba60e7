import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { metricsSchema } from '../../protocol/telemetry.ts';
import { AgentUnderTest } from '../../test/support/agent-under-test.ts';
import { HubStandIn } from '../../test/support/hub-stand-in.ts';
import type { Dispatch } from '../dispatcher.ts';

const { CODE } = AgentUnderTest;

let agent: AgentUnderTest;
beforeEach(async () => {
  agent = await AgentUnderTest.create();
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
});

describe('Connection', () => {
  it.each([1012, 1009, 4003, 4004, 4008])(
    'dials again after its session was closed with %i',
    async (code) => {
      await agent.start({ registerCode: CODE });
      const { hub, hello } = await agent.hubs.welcome();
      hub.socket.close(code);
      const again = await agent.hubs.welcome();
      expect(again.hello).toMatchObject({
        type: 'authenticate',
        instance_id: hello['instance_id'],
      });
      expect(agent.endings[0]).toHaveProperty('closeCode', code);
      expect(agent.endings[0]?.authenticatedMs).toBeGreaterThan(0);
    },
  );

  it('plans its dials with the policy of the protocol unless told otherwise', async () => {
    await agent.start({ registerCode: CODE, usesOwnPolicy: true });
    const { hub } = await agent.hubs.welcome();
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('type', 'authenticate');
  });

  it('hands the count of failed dials on', async () => {
    const counts: number[] = [];
    const port = Number(new URL(agent.hubs.url).port);
    await agent.hubs[Symbol.asyncDispose]();
    const failed = Promise.withResolvers<void>();
    await agent.start({
      registerCode: CODE,
      redial: (failedDials) => {
        counts.push(failedDials);
        if (counts.length === 3) failed.resolve();
        return { delayMs: 1, failedDials: failedDials + 1 };
      },
    });
    await failed.promise;
    agent.hubs = await HubStandIn.start(port);
    await agent.hubs.welcome();
    expect(counts.slice(0, 3)).toEqual([0, 1, 2]);
  });

  it('lets no fault of its own parts pass as a failed dial', async () => {
    const { run } = await agent.start({
      registerCode: CODE,
      address: { url: 'ws://127.0.0.1:1/#fragment', fingerprint: undefined },
    });
    await expect(run).rejects.toHaveProperty('name', 'SyntaxError');
  });

  it('sends what a command says to the hubs only that take it', async () => {
    const ended: (() => void)[] = [];
    const dispatch: Dispatch = async (_method, _params, { output }) => {
      output.progress('half', 0.5);
      await new Promise<void>((resolve) => ended.push(resolve));
    };
    await agent.start({ registerCode: CODE, dispatch });
    const limits = { frame_bytes: 16_777_216 };
    const old = await agent.hubs.welcome({}, { protocol: 1, limits });
    old.hub.request('a', 'agent.ping');
    old.hub.send('nonsense');
    expect(await old.hub.next()).toHaveProperty('id', null);
    old.hub.socket.close(1012);
    const more = { protocol: 1, limits: { ...limits, stream_window_bytes: 262_144 } };
    const { hub, hello } = await agent.hubs.welcome({}, more);
    expect(hello).toHaveProperty('held', ['a']);
    hub.request('b', 'agent.ping');
    expect(await hub.next()).toMatchObject({ params: { id: 'b', data: 'half', fraction: 0.5 } });
    for (const end of ended) end();
    expect(await hub.next()).toHaveProperty('id', 'a');
    expect(await hub.next()).toHaveProperty('id', 'b');
  });

  it('pushes metrics and health soon after connecting, and again after reconnecting', async () => {
    await agent.start({ registerCode: CODE, firstPushMs: 5 });
    for (let session = 0; session < 2; session += 1) {
      const { hub } = await agent.hubs.welcome();
      expect(await hub.notification('health.status')).toMatchObject({ status: 'healthy' });
      expect(metricsSchema.parse(await hub.notification('metrics.update'))).toBeDefined();
      hub.socket.close(1012);
    }
  });

  it('pushes at new intervals as soon as they change', async () => {
    const { settings } = await agent.start({ registerCode: CODE, firstPushMs: 5 });
    const { hub } = await agent.hubs.welcome({ health_interval: 600 });
    await hub.notification('health.status');
    // Below what the schema lets a hub ask for, so that the test need not wait.
    settings.update({ health_interval: 0.01, metrics_interval: 600 });
    await hub.notification('health.status');
    await hub.notification('health.status');
    settings.update({ health_interval: 600 });
  });

  it('gives up a hub that falls silent and dials again', async () => {
    await agent.start({ registerCode: CODE, limits: { silenceMaxMs: 100 } });
    const { hub } = await agent.hubs.welcome();
    hub.socket.pause();
    await agent.hubs.welcome();
    expect(agent.endings[0]).toHaveProperty('closeCode', 1006);
  });

  it('closes its socket and aborts its calls when it is told to end', async () => {
    const aborted = Promise.withResolvers<void>();
    const dispatch: Dispatch = async (_method, _params, { signal }) => {
      agent.ending.abort();
      await once(signal, 'abort');
      aborted.resolve();
    };
    const { run } = await agent.start({ registerCode: CODE, dispatch });
    const { hub } = await agent.hubs.welcome();
    hub.request('a', 'x');
    expect(await run).toBe('stopped');
    await aborted.promise;
    expect(await hub.closed).toBe(1001);
  });

  it('names the commands it holds when it dials again, and brings their answers', async () => {
    const finish = Promise.withResolvers<string>();
    await agent.start({ registerCode: CODE, dispatch: async () => await finish.promise });
    const { hub, hello } = await agent.hubs.welcome({}, { protocol: 1 });
    expect(hello).toHaveProperty('held', []);
    hub.request('a', 'x');
    hub.socket.close(1012);
    const again = await agent.hubs.welcome({}, { protocol: 1 });
    expect(again.hello).toHaveProperty('held', ['a']);
    finish.resolve('done');
    expect(await again.hub.answer('a')).toHaveProperty('result', 'done');
  });

  it('aborts its commands when it is revoked, connected or not', async () => {
    for (const isConnected of [true, false]) {
      const [begun, aborted] = [Promise.withResolvers<void>(), Promise.withResolvers<unknown>()];
      const dispatch: Dispatch = async (_method, _params, { signal }) => {
        begun.resolve();
        await once(signal, 'abort');
        aborted.resolve(signal.reason);
      };
      const { run } = await agent.start({ registerCode: CODE, dispatch });
      const { hub } = await agent.hubs.welcome({}, { protocol: 1 });
      hub.request('a', 'x');
      await begun.promise;
      hub.socket.close(isConnected ? 4002 : 1012);
      if (!isConnected) await agent.refuse('AGENT_REVOKED', 4002);
      expect(await aborted.promise).toMatchObject({ name: 'AGENT_REVOKED' });
      expect(await run).toBe('revoked');
    }
  });

  it('aborts its commands when it is told to end while it is not connected', async () => {
    const [begun, aborted] = [Promise.withResolvers<void>(), Promise.withResolvers<unknown>()];
    const dispatch: Dispatch = async (_method, _params, { signal }) => {
      begun.resolve();
      await once(signal, 'abort');
      aborted.resolve(signal.reason);
    };
    const { run } = await agent.start({ registerCode: CODE, dispatch });
    const { hub } = await agent.hubs.welcome({}, { protocol: 1 });
    hub.request('a', 'x');
    await begun.promise;
    hub.socket.close(1012);
    await agent.hubs.accept();
    agent.ending.abort();
    expect(await run).toBe('stopped');
    expect(await aborted.promise).toMatchObject({ name: 'CONNECTION_LOST' });
  });

  it('ends while it dials, and while it waits to dial', async () => {
    const dialling = await agent.start({ registerCode: CODE });
    await agent.hubs.accept();
    agent.ending.abort();
    expect(await dialling.run).toBe('stopped');

    agent.ending = new AbortController();
    const planned = Promise.withResolvers<void>();
    const redial = () => {
      planned.resolve();
      return { delayMs: 600_000, failedDials: 0 };
    };
    const waiting = await agent.start({ registerCode: CODE, redial });
    await agent.refuse(undefined, 4001);
    await planned.promise;
    agent.ending.abort();
    expect(await waiting.run).toBe('stopped');
  });
});
