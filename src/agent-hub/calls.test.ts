import { describe, expect, it } from 'vitest';
import { ERROR_TEXT_MAX_CHARS } from '../../protocol/limits.ts';
import { PONG } from '../../test/support/fake-agent.ts';
import { eventually, startHub } from '../../test/support/hub.ts';

describe('a call', () => {
  it('reaches the agent with the params as written and answers its result', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, {
      id: 'c1',
      method: 'docker.containers.logs',
      params: { container: 'db' },
    });
    const request = await agent.next();
    expect(request).toEqual({
      jsonrpc: '2.0',
      id: 'c1',
      method: 'docker.containers.logs',
      params: { container: 'db' },
    });
    agent.answer('c1', { logs: 'a\nb', colour: 'green' });
    await expect(call).resolves.toEqual({ logs: 'a\nb', colour: 'green' });
    expect(test.hub.counters).toMatchObject({ calls: 1, callsInFlight: 0, strayAnswers: 0 });
  });

  it('matches answers by id when they come in another order', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const calls = ['a', 'b', 'c'].map((id) => test.call(agentId, { id }));
    for (const id of ['c', 'a', 'b']) agent.answer(id, { ...PONG, version: id });
    const versions = (await Promise.all(calls)) as { version: string }[];
    expect(versions.map(({ version }) => version)).toEqual(['a', 'b', 'c']);
  });

  it('fails with the agent’s own error, its name taken from the table', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, { id: 'c1' });
    agent.fail('c1', { code: 1202, message: 'No such container.', data: { name: 'NOT_FOUND' } });
    await expect(call).rejects.toMatchObject({
      name: 'NOT_FOUND',
      code: 1202,
      message: 'No such container.',
      facts: { agent_code: 1202, data: { name: 'NOT_FOUND' } },
    });
  });

  it('fails with INTERNAL_ERROR for a code that is not in the table, which is kept as a fact', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, { id: 'c1' });
    agent.fail('c1', { code: -31_999, message: 'odd' });
    await expect(call).rejects.toMatchObject({
      name: 'INTERNAL_ERROR',
      code: -32_603,
      message: 'odd',
      facts: { agent_code: -31_999 },
    });
  });

  it('passes on no more of the agent’s error than has use', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, { id: 'c1' });
    const failed = call.catch((error: unknown) => error);
    agent.fail('c1', { code: 1202, message: 'x'.repeat(3_000_000), data: ['y'.repeat(5_000)] });
    expect(await failed).toMatchObject({
      name: 'NOT_FOUND',
      message: `${'x'.repeat(ERROR_TEXT_MAX_CHARS)}…`,
      facts: { agent_code: 1202 },
    });
    expect(await failed).not.toHaveProperty('facts.data');
  });

  it('fails with AGENT_NOT_CONNECTED for an agent that is away', async () => {
    const test = await startHub();
    const { agentId } = await test.install('web-1');
    await expect(test.call(agentId)).rejects.toMatchObject({
      name: 'AGENT_NOT_CONNECTED',
      code: 1001,
    });
  });

  it('goes to none but its own agent', async () => {
    const test = await startHub();
    const [one, two] = [await test.join('web-1'), await test.join('web-2')];
    const calls = [
      test.call(one.agentId, { id: 'first' }),
      test.call(two.agentId, { id: 'second' }),
    ];
    expect(await one.agent.request()).toMatchObject({ id: 'first' });
    expect(await two.agent.request()).toMatchObject({ id: 'second' });
    one.agent.answer('first', PONG);
    two.agent.answer('second', PONG);
    await Promise.all(calls);
  });
});

describe('a time-out', () => {
  it('fails the call and tells an agent with `protocol` to stop', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    await expect(test.call(agentId, { id: 'c1', timeoutMs: 20 })).rejects.toMatchObject({
      name: 'COMMAND_TIMED_OUT',
      code: 1003,
      facts: { timeout_ms: 20, told_to_stop: true },
    });
    expect(await agent.request()).toMatchObject({ id: 'c1' });
    expect(await agent.next()).toEqual({
      jsonrpc: '2.0',
      method: '$/cancelRequest',
      params: { id: 'c1' },
    });
    expect(test.hub.counters.callsInFlight).toBe(0);
  });

  it('sends nothing further to an agent without `protocol`', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    await expect(test.call(agentId, { timeoutMs: 20 })).rejects.toMatchObject({
      code: 1003,
      facts: { told_to_stop: false },
      message: expect.not.stringMatching('was told'),
    });
    const next = test.call(agentId, { id: 'next' });
    await agent.next();
    expect(await agent.next()).toMatchObject({ id: 'next', method: 'agent.ping' });
    agent.answer('next', PONG);
    await next;
  });
});

describe('the caller’s signal', () => {
  it('fails a call that it aborted before, without sending it', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const aborted = test.call(agentId, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ name: 'COMMAND_CANCELLED', code: 1004 });
    const call = test.call(agentId, { id: 'after' });
    expect(await agent.next()).toMatchObject({ id: 'after' });
    agent.answer('after', PONG);
    await call;
  });

  it('fails a call in flight and tells the agent to stop', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const caller = new AbortController();
    const call = test.call(agentId, { id: 'c1', signal: caller.signal });
    await agent.request();
    caller.abort();
    await expect(call).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
      code: 1004,
      facts: { told_to_stop: true },
    });
    expect(await agent.next()).toMatchObject({ method: '$/cancelRequest', params: { id: 'c1' } });
  });

  it('says so when the agent cannot be told to stop', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const caller = new AbortController();
    const call = test.call(agentId, { signal: caller.signal });
    await agent.request();
    caller.abort();
    await expect(call).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
      facts: { told_to_stop: false },
      message: expect.not.stringMatching('was told'),
    });
  });

  it('does nothing when it aborts after the answer', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const caller = new AbortController();
    const call = test.call(agentId, { id: 'c1', signal: caller.signal });
    agent.answer('c1', PONG);
    await expect(call).resolves.toEqual(PONG);
    caller.abort();
    const next = test.call(agentId, { id: 'next' });
    expect(await agent.nextWhere(({ id }) => id !== 'c1')).toMatchObject({ id: 'next' });
    agent.answer('next', PONG);
    await next;
  });
});

describe('an agent that goes mid-call', () => {
  it('fails the call at once when its socket closes', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const calls = [test.call(agentId), test.call(agentId)];
    await agent.request();
    agent.socket.close();
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST', code: 1002 });
    }
    expect(test.hub.connected(agentId)).toBeUndefined();
    expect(await test.row(agentId)).toMatchObject({ status: 'disconnected' });
  });

  it('fails the call at once when its connection is cut', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId);
    await agent.request();
    agent.cut();
    await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
  });

  it('takes no call and no cancellation while its socket closes', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const caller = new AbortController();
    const call = test.call(agentId, { signal: caller.signal });
    const cancelled = expect(call).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    await agent.request();
    // A close frame, after which the agent neither reads nor ends the connection.
    agent.socket.pause();
    await agent.writeRaw(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    await eventually(async () => {
      await expect(test.call(agentId, { timeoutMs: 5 })).rejects.toMatchObject({
        name: 'AGENT_NOT_CONNECTED',
      });
    });
    expect(await test.hub.latency(agentId, AbortSignal.timeout(5))).toBeUndefined();
    caller.abort();
    await cancelled;
  });

  it('fails the call at once when it is revoked, and refuses its token from then on', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1');
    const call = test.call(agentId);
    await agent.request();
    const revoked = test.hub.revoke(agentId);
    await expect(call).rejects.toMatchObject({ name: 'AGENT_REVOKED', code: 1005 });
    await expect(revoked).resolves.toBe(true);
    expect((await agent.closed).code).toBe(4002);
    await expect(test.call(agentId)).rejects.toMatchObject({ code: 1001 });
    const { agent: again, welcome } = await test.rejoin(token);
    expect(welcome).toMatchObject({ code: 'AGENT_REVOKED' });
    expect((await again.closed).code).toBe(4002);
    expect(await test.row(agentId)).toMatchObject({ status: 'revoked' });
  });

  it('is revoked just as well while it is away, and learns so when it dials', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1');
    agent.socket.close();
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
    await expect(test.hub.revoke(agentId)).resolves.toBe(false);
    expect((await (await test.rejoin(token)).agent.closed).code).toBe(4002);
  });
});
