import { describe, expect, it } from 'vitest';
import {
  CALLS_MAX_COUNT,
  CALLS_PER_AGENT_MAX_COUNT,
  JSON_VALUES_MAX_COUNT,
} from '../../protocol/limits.ts';
import { PONG } from '../../test/support/fake-agent.ts';
import { type Joined, startHub } from '../../test/support/hub.ts';

const MEGABYTE = 1024 * 1024;

describe('before it is sent', () => {
  const refusals: [title: string, call: object, name: string, code: number][] = [
    ['an unknown method', { method: 'docker.containers.fly' }, 'METHOD_NOT_FOUND', -32_601],
    ['a name of Object’s own', { method: 'constructor' }, 'METHOD_NOT_FOUND', -32_601],
    ['an unknown param', { params: { loud: true } }, 'INVALID_PARAMS', -32_602],
    ['a call above the caller’s access', { ...exec(), access: 'operate' }, 'ACCESS_DENIED', 1006],
    ['a call above the agent’s ceiling', exec(), 'ACCESS_DENIED', 1006],
  ];
  it.each(refusals)('refuses %s', async (_title, call, name, code) => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', {}, { access: 'operate' });
    await expect(test.call(agentId, call)).rejects.toMatchObject({ name, code });
    const next = test.call(agentId, { id: 'next' });
    expect(await agent.next()).toMatchObject({ id: 'next' });
    agent.answer('next', PONG);
    await next;
    expect(test.hub.counters.calls).toBe(1);
  });

  it('refuses what is above the access that the agent itself grants', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', { protocol: 1, access: 'read' });
    await expect(test.call(agentId, exec())).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
      facts: { needed: 'admin', granted: 'read' },
    });
  });

  it('refuses a method that the agent does not have', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', { capabilities: ['system.info'] });
    await expect(test.call(agentId)).rejects.toMatchObject({
      name: 'METHOD_NOT_FOUND',
      facts: { method: 'agent.ping' },
    });
  });

  it('lets the hub’s own config.update pass the agent’s ceiling', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', {}, { access: 'read' });
    const params = { metrics_interval: 60 };
    const call = test.call(agentId, { id: 'c1', method: 'config.update', params });
    expect(await agent.request()).toMatchObject({ method: 'config.update', params });
    agent.answer('c1', { status: 'ok' });
    await expect(call).resolves.toEqual({ status: 'ok' });
  });
});

describe('what an agent is given at one time', () => {
  it('is at most 256 calls, and another after one of them ended', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const calls = Array.from({ length: 256 }, (_, index) =>
      test.call(agentId, { id: `c${index}` }),
    );
    await expect(test.call(agentId)).rejects.toMatchObject({ name: 'LIMIT_REACHED', code: 1008 });
    agent.answer('c0', PONG);
    await calls[0];
    calls.push(test.call(agentId, { id: 'c256' }));
    for (let index = 1; index <= 256; index += 1) agent.answer(`c${index}`, PONG);
    await expect(Promise.all(calls)).resolves.toHaveLength(257);
  });

  it('is no more once it stops reading, until it reads again', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const other = await test.join('web-2');
    agent.socket.pause();
    const sent: Promise<unknown>[] = [];
    const large = {
      method: 'system.exec',
      params: { command: 'true', env: { A: text(MEGABYTE) } },
    };
    for (let count = 0; count < 64; count += 1) {
      sent.push(test.call(agentId, { ...large, id: `c${count}` }).catch((error: unknown) => error));
    }
    const refused = await Promise.race(sent);
    expect(refused).toMatchObject({ name: 'LIMIT_REACHED' });
    const call = test.call(other.agentId, { id: 'other' });
    other.agent.answer('other', PONG);
    await expect(call).resolves.toEqual(PONG);
    agent.socket.resume();
    await agent.nextWhere(({ id }) => id === 'c0');
    agent.answer('c0', { stdout: '', stderr: '', exit_code: 0 });
    await expect(sent[0]).resolves.toMatchObject({ exit_code: 0 });
  });

  it('is no request with more values than a message may have', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1');
    const ports = Array.from({ length: JSON_VALUES_MAX_COUNT }, () => 'a');
    const params = { image: 'a', name: 'a', command: ports };
    await expect(
      test.call(agentId, { method: 'docker.containers.run', params }),
    ).rejects.toMatchObject({ name: 'LIMIT_REACHED' });
  });

  it('is no request larger than one frame, which would cost it its connection', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const params = { command: 'true', env: { A: text(17 * MEGABYTE) } };
    await expect(test.call(agentId, { method: 'system.exec', params })).rejects.toMatchObject({
      name: 'LIMIT_REACHED',
    });
    const call = test.call(agentId, { id: 'next' });
    expect(await agent.next()).toMatchObject({ id: 'next' });
    agent.answer('next', PONG);
    await call;
  });
});

describe('all agents together', () => {
  it('are asked CALLS_MAX_COUNT things at one time, and more once one is answered', async () => {
    const test = await startHub();
    const perAgent = CALLS_PER_AGENT_MAX_COUNT - 6;
    const agents: Joined[] = [];
    for (let count = 0; count * perAgent < CALLS_MAX_COUNT; count += 1) {
      agents.push(await test.join(`web-${count}`));
    }
    const calls = agents.flatMap(({ agentId }) =>
      Array.from({ length: perAgent }, (_, index) => test.call(agentId, { id: `c${index}` })),
    );
    for (const call of calls) call.catch(() => undefined);
    expect(calls).toHaveLength(CALLS_MAX_COUNT);
    const [first] = agents;
    if (first === undefined) throw new Error('no agent');
    await expect(test.call(first.agentId)).rejects.toMatchObject({
      name: 'LIMIT_REACHED',
      facts: { limit: CALLS_MAX_COUNT },
    });
    first.agent.answer('c0', PONG);
    await calls[0];
    const next = test.call(first.agentId, { id: 'next' });
    first.agent.answer('next', PONG);
    await expect(next).resolves.toEqual(PONG);
  });
});

function exec(): object {
  return { method: 'system.exec', params: { command: 'true' } };
}

function text(length: number): string {
  return 'x'.repeat(length);
}
