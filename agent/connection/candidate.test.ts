import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentUnderTest } from '../../test/support/agent-under-test.ts';
import type { Dispatch } from '../dispatcher.ts';

const { CODE } = AgentUnderTest;
const TICKET = 'TTTT-TTTT-TTTT-TTTT';
const PROMOTED = { jsonrpc: '2.0', method: '$/promoted' };
const RETIRE = { jsonrpc: '2.0', method: '$/retire' };

let agent: AgentUnderTest;
beforeEach(async () => {
  agent = await AgentUnderTest.create();
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
});

/** Ends the process under test, so that another can be started. */
async function stop(run: Promise<unknown>): Promise<void> {
  agent.ending.abort();
  await run;
  agent.ending = new AbortController();
}

async function files(): Promise<string[]> {
  return (await readdir(agent.directory)).toSorted();
}

describe('a candidate', () => {
  it('keeps its token apart until it is promoted', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: TICKET });
    const { hub } = await agent.hubs.welcome({}, { candidate: true });
    await agent.untilLogged('"connected"');
    expect(await files()).toEqual(['agent.json', 'agent.next.json']);
    expect(await agent.stored()).toHaveProperty('token', `token-of-${CODE}`);

    hub.send({ jsonrpc: '2.0', method: '$/unknown' });
    hub.send(PROMOTED);
    while ((await files()).length > 1) await hub.call('a', 'agent.ping');
    expect(await files()).toEqual(['agent.json']);
    expect(await agent.stored()).toHaveProperty('token', `token-of-${TICKET}`);
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('token', `token-of-${TICKET}`);
  });

  it('is the same candidate when its process starts again before the promotion', async () => {
    await agent.registerFirst();
    const { run } = await agent.start({ registerCode: TICKET });
    await agent.hubs.welcome({}, { candidate: true });
    await agent.untilLogged('"connected"');
    await stop(run);

    await agent.start({ registerCode: TICKET });
    const { hello } = await agent.hubs.welcome({}, { candidate: true });
    expect(hello).toMatchObject({ type: 'authenticate', token: `token-of-${TICKET}` });
    expect(await agent.stored()).toHaveProperty('token', `token-of-${CODE}`);
  });

  it('takes a plain welcome for the promotion that it did not hear of', async () => {
    const { run } = await agent.start({ registerCode: TICKET });
    await agent.hubs.welcome({}, { candidate: true });
    await agent.untilLogged('"connected"');
    await stop(run);

    agent.logged = '';
    await agent.start({ registerCode: TICKET });
    await agent.hubs.welcome();
    await agent.untilLogged('"connected"');
    expect(await files()).toEqual(['agent.json']);
    expect(await agent.stored()).toHaveProperty('token', `token-of-${TICKET}`);
  });

  it('goes on when its promotion cannot be written down', async () => {
    await agent.start({ registerCode: TICKET });
    const { hub } = await agent.hubs.welcome({}, { candidate: true });
    await agent.untilLogged('"connected"');
    await rm(path.join(agent.directory, 'agent.next.json'));
    hub.send(PROMOTED);
    await agent.untilLogged('stays in the candidate’s file');
    expect(await hub.call('a', 'x')).toHaveProperty('result', 'x');
  });

  it('is nothing to the process of the agent that it is to replace', async () => {
    await agent.registerFirst();
    const { run } = await agent.start({ registerCode: TICKET });
    await agent.hubs.welcome({}, { candidate: true });
    await agent.untilLogged('"connected"');
    await stop(run);

    await agent.start({ registerCode: CODE });
    expect((await agent.hubs.welcome()).hello).toHaveProperty('token', `token-of-${CODE}`);
  });
});

describe('an agent that is told to retire', () => {
  it('answers its calls, closes with 1000, forgets its token and dials no more', async () => {
    const release = Promise.withResolvers<void>();
    const dispatch: Dispatch = async () => {
      await release.promise;
      return 'done';
    };
    const { run } = await agent.start({ registerCode: CODE, dispatch });
    const { hub } = await agent.hubs.welcome();
    hub.request('a', 'x');
    hub.send(RETIRE);
    release.resolve();
    expect(await hub.answer('a')).toHaveProperty('result', 'done');
    expect(await hub.closed).toBe(1000);
    expect(await run).toBe('retired');
    expect(await files()).toEqual([]);
    expect(agent.logged).not.toMatch(/"level":[45]0/);
  });

  it.each([4003, 1006])('dials no more even if the hub ends the socket (%i)', async (code) => {
    const { run } = await agent.start({ registerCode: CODE });
    const { hub } = await agent.hubs.welcome();
    await agent.untilLogged('"connected"');
    hub.send(RETIRE);
    if (code === 1006) hub.socket.terminate();
    else hub.socket.close(code);
    expect(await run).toBe('retired');
    expect(agent.endings).toEqual([]);
  });

  it('does not wait for its calls for ever', async () => {
    const aborted = Promise.withResolvers<void>();
    const dispatch: Dispatch = async (_method, _params, { signal }) => {
      await once(signal, 'abort');
      aborted.resolve();
    };
    const { run } = await agent.start({ registerCode: CODE, dispatch, retireMaxMs: 10 });
    const { hub } = await agent.hubs.welcome();
    hub.request('a', 'x');
    hub.send(RETIRE);
    expect(await run).toBe('retired');
    await aborted.promise;
  });

  it('leaves the token of the candidate that took its place in the same directory', async () => {
    const old = await agent.start({ registerCode: CODE });
    const { hub } = await agent.hubs.welcome();
    await agent.untilLogged('"connected"');
    agent.logged = '';
    await agent.start({ registerCode: TICKET });
    const { hub: next } = await agent.hubs.welcome({}, { candidate: true });
    await agent.untilLogged('"connected"');
    next.send(PROMOTED);
    hub.send(RETIRE);
    expect(await old.run).toBe('retired');
    while ((await files()).includes('agent.next.json')) await next.call('a', 'x');
    expect(await agent.stored()).toHaveProperty('token', `token-of-${TICKET}`);
  });
});
