import { describe, expect, it } from 'vitest';
import { PONG } from '../../test/support/fake-agent.ts';
import { startHub } from '../../test/support/hub.ts';
import { StoredAnswers } from './stored-answers.ts';

const STORED = '$/stored';

describe('an agent is told that an answer is stored', () => {
  it('at once if the call has no row', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const calls = ['a', 'b'].map((id) => test.call(agentId, { id }));
    for (const id of ['a', 'b']) agent.answer(id, PONG);
    await Promise.all(calls);
    const told = await agent.nextWhere(({ method }) => method === STORED);
    expect(told).toEqual({ jsonrpc: '2.0', method: STORED, params: { ids: ['a', 'b'] } });
  });

  it('only after the row is written if the call has one', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const call = test.call(agentId, { id: 'with row', hasRow: true });
    agent.answer('with row', PONG);
    await call;
    const other = test.call(agentId, { id: 'other' });
    agent.answer('other', PONG);
    await other;
    const first = await agent.nextWhere(({ method }) => method === STORED);
    expect(first).toHaveProperty('params', { ids: ['other'] });
    test.hub.written(agentId, 'with row');
    const second = await agent.nextWhere(({ method }) => method === STORED);
    expect(second).toHaveProperty('params', { ids: ['with row'] });
  });

  it('when it has come, however early the row was written', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const call = test.call(agentId, { id: 'late', hasRow: true, timeoutMs: 10 });
    await expect(call).rejects.toMatchObject({ name: 'COMMAND_TIMED_OUT' });
    test.hub.written(agentId, 'late');
    agent.answer('late', PONG);
    const told = await agent.nextWhere(({ method }) => method === STORED);
    expect(told).toHaveProperty('params', { ids: ['late'] });
    expect(test.hub.counters).toMatchObject({ strayAnswers: 1 });
  });

  it('also of one that nobody waits for, so that it is not brought again', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1', { protocol: 1 });
    agent.answer('invented', PONG);
    const told = await agent.nextWhere(({ method }) => method === STORED);
    expect(told).toHaveProperty('params', { ids: ['invented'] });
  });

  it('never if it speaks the first deployment’s messages only', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, { id: 'a', hasRow: true });
    agent.answer('a', PONG);
    await call;
    test.hub.written(agentId, 'a');
    agent.socket.close();
    await agent.closed;
    await expect(agent.next()).resolves.toMatchObject({ id: 'a' });
  });

  it('without delay when many have come', async () => {
    const batches: string[][] = [];
    using stored = new StoredAnswers((ids) => batches.push(ids));
    const ids = Array.from({ length: 257 }, (_, index) => `c${index}`);
    for (const id of ids) stored.answered(id);
    expect(batches).toEqual([ids.slice(0, 256)]);
  });
});
