import { describe, expect, it } from 'vitest';
import { type FakeAgent, type Message, PONG } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';

const ALLOWED = 16;

describe('a message that is none', () => {
  const messages: [title: string, message: string | Buffer][] = [
    ['text that is not JSON', 'hello'],
    ['empty text', ''],
    ['a number', '7'],
    ['null', 'null'],
    ['an array', '[]'],
    ['deep nesting', '['.repeat(100_000)],
    ['an answer that nests too deep', `{"jsonrpc":"2.0","id":"c1","result":${deepJson(64)}}`],
    [
      'an answer of too many values',
      `{"jsonrpc":"2.0","id":"c1","result":[${'1,'.repeat(250_000)}1]}`,
    ],
    ['an object of no kind', '{}'],
    ['neither result nor error', '{"jsonrpc":"2.0","id":"c1"}'],
    ['an error without a code', '{"jsonrpc":"2.0","id":"c1","error":{"message":"x"}}'],
    ['an answer of another version', '{"jsonrpc":"1.0","id":"c1","result":{}}'],
    ['an answer whose id is a number', '{"jsonrpc":"2.0","id":1,"result":{}}'],
    ['a notification with params in an array', '{"jsonrpc":"2.0","method":"x","params":[1]}'],
    ['a request without a version', '{"method":"x","id":"1"}'],
    ['a binary frame', Buffer.from('{"jsonrpc":"2.0","method":"health.status"}')],
  ];
  it.each(messages)(
    'is ignored 16 times and closes the socket with 4008 then: %s',
    async (_, sent) => {
      const test = await startHub();
      const { agent, agentId } = await test.join('web-1');
      const other = await test.join('web-2');
      const call = test.call(agentId, { id: 'c1' });
      const lost = expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
      await agent.request();
      for (let count = 0; count < ALLOWED; count += 1) agent.send(sent);
      await answersPing(test, agent, agentId);
      agent.send(sent);
      expect((await agent.closed).code).toBe(4008);
      await lost;
      await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
      await answersPing(test, other.agent, other.agentId);
    },
  );

  it('is reported once in the log, however many follow', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1');
    const other = await test.join('web-2');
    agent.socket.pause();
    for (let count = 0; count < 100; count += 1) agent.send('rubbish');
    await agent.writeRaw('');
    await answersPing(test, other.agent, other.agentId);
    agent.socket.resume();
    expect((await agent.closed).code).toBe(4008);
    const reports = test.logged.filter(({ msg }) => String(msg).includes('breaks the protocol'));
    expect(reports).toHaveLength(1);
  });
});

describe('a call of an agent', () => {
  it('is answered METHOD_NOT_FOUND', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1');
    const method = 'x'.repeat(128);
    agent.send({ jsonrpc: '2.0', id: 'q1', method, params: {} });
    const answer = await agent.next();
    expect(answer).toMatchObject({
      jsonrpc: '2.0',
      id: 'q1',
      error: { code: -32_601, data: { name: 'METHOD_NOT_FOUND' } },
    });
    expect(JSON.stringify(answer)).not.toContain('x'.repeat(65));
  });

  it('is answered 16 times and closes the socket with 4008 then', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1');
    for (let count = 0; count < ALLOWED; count += 1) agent.send(request(`q${count}`));
    for (let count = 0; count < ALLOWED; count += 1) {
      expect(await agent.next()).toMatchObject({ id: `q${count}`, error: { code: -32_601 } });
    }
    agent.send(request('one too many'));
    expect((await agent.closed).code).toBe(4008);
  });

  it('fills nothing when the agent sends on and reads no answer', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    agent.socket.pause();
    for (let count = 0; count < 10_000; count += 1) agent.send(request(`q${count}`));
    await agent.writeRaw('');
    agent.socket.resume();
    let answers = 0;
    agent.socket.on('message', () => (answers += 1));
    expect((await agent.closed).code).toBe(4008);
    expect(answers).toBe(ALLOWED);
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
  });
});

describe('a frame that the WebSocket protocol or a limit forbids', () => {
  it('closes its socket with 1009 when it is larger than 16 MiB, and no other', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const other = await test.join('web-2');
    const lost = expect(test.call(agentId)).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    agent.send('x'.repeat(16 * 1024 * 1024 + 1));
    await lost;
    expect((await agent.closed).code).toBe(1009);
    await answersPing(test, other.agent, other.agentId);
    expect(await test.row(agentId)).toMatchObject({ status: 'disconnected' });
  });

  it('closes its socket with 1009 as soon as a frame of 100 MiB is announced', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1');
    const head = Buffer.alloc(14);
    head.writeUInt16BE(0x81ff, 0);
    head.writeBigUInt64BE(100n * 1024n * 1024n, 2);
    await agent.writeRaw(head);
    expect((await agent.closed).code).toBe(1009);
  });

  it('closes its socket with 1007 when its text is not UTF-8', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1');
    await agent.writeRaw(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]));
    expect((await agent.closed).code).toBe(1007);
  });

  it('is bounded in the handshake just the same', async () => {
    const test = await startHub();
    const agent = await test.dial();
    const head = Buffer.alloc(14);
    head.writeUInt16BE(0x81ff, 0);
    head.writeBigUInt64BE(100n * 1024n * 1024n, 2);
    await agent.writeRaw(head);
    expect((await agent.closed).code).toBe(1009);
  });
});

function request(id: string): Message {
  return { jsonrpc: '2.0', id, method: 'tell.me', params: {} };
}

async function answersPing(test: TestHub, agent: FakeAgent, agentId: string): Promise<void> {
  const call = test.call(agentId, { id: 'barrier' });
  await agent.nextWhere(({ id }) => id === 'barrier');
  agent.answer('barrier', PONG);
  await expect(call).resolves.toEqual(PONG);
}

function deepJson(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}
