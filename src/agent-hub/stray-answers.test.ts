import { describe, expect, it } from 'vitest';
import { type FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { startHub, type TestHub } from '../../test/support/hub.ts';

describe('an answer that no call waits for', () => {
  it('is counted and ends nothing when its call has timed out', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    await expect(test.call(agentId, { id: 'late', timeoutMs: 10 })).rejects.toMatchObject({
      code: 1003,
    });
    agent.answer('late', PONG);
    await expectStray(test, agent, agentId, 1);
  });

  it('is counted and ends nothing when it comes twice', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, { id: 'twice' });
    agent.answer('twice', PONG);
    agent.answer('twice', { ...PONG, version: 'forged' });
    agent.fail('twice', { code: 1202, message: 'forged' });
    await expect(call).resolves.toEqual(PONG);
    await expectStray(test, agent, agentId, 2);
  });

  it('is counted and ends nothing when nobody asked', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    agent.answer('invented', PONG);
    agent.answer('__proto__', PONG);
    agent.fail('toString', { code: 1, message: 'x' });
    await expectStray(test, agent, agentId, 3);
  });

  it('does not end another agent’s call', async () => {
    const test = await startHub();
    const [victim, thief] = [await test.join('web-1'), await test.join('web-2')];
    const call = test.call(victim.agentId, { id: 'c1' });
    await victim.agent.request();
    thief.agent.answer('c1', { ...PONG, version: 'forged' });
    thief.agent.fail('c1', { code: 1202, message: 'forged' });
    await expectStray(test, thief.agent, thief.agentId, 2);
    victim.agent.answer('c1', PONG);
    await expect(call).resolves.toEqual(PONG);
  });

  it('does not end the call of a newer socket of the same agent', async () => {
    const test = await startHub();
    const { agent: older, agentId, token } = await test.join('web-1');
    older.socket.pause();
    const { agent: newer } = await test.rejoin(token);
    const call = test.call(agentId, { id: 'c1' });
    await newer.request();
    older.answer('c1', { ...PONG, version: 'forged' });
    older.socket.resume();
    await older.closed;
    newer.answer('c1', PONG);
    await expect(call).resolves.toEqual(PONG);
  });
});

describe('an answer that is not what the catalogue says', () => {
  const answers: [title: string, result: unknown][] = [
    ['nothing', null],
    ['text', 'ok'],
    ['an object without the fields', {}],
    ['a field of another kind', { ...PONG, version: 1 }],
  ];
  it.each(answers)('fails the call with INVALID_ANSWER: %s', async (_title, result) => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, { id: 'c1' });
    agent.answer('c1', result);
    await expect(call).rejects.toMatchObject({
      name: 'INVALID_ANSWER',
      code: 1009,
      facts: { method: 'agent.ping' },
    });
  });

  it('is described in a few words however wrong it is', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const call = test.call(agentId, { id: 'c1', method: 'docker.images.list' });
    agent.answer('c1', Array(50_000).fill(0));
    const error: unknown = await call.catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: 'INVALID_ANSWER' });
    expect(String(error).length).toBeLessThan(2_000);
  });
});

/** A round trip afterwards shows that what was sent before it has been read. */
async function expectStray(
  test: TestHub,
  agent: FakeAgent,
  agentId: string,
  count: number,
): Promise<void> {
  const call = test.call(agentId, { id: 'barrier' });
  await agent.nextWhere(({ id }) => id === 'barrier');
  agent.answer('barrier', PONG);
  await expect(call).resolves.toEqual(PONG);
  expect(test.hub.counters).toMatchObject({ strayAnswers: count });
}
