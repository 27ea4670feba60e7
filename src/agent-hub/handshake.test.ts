import { describe, expect, it } from 'vitest';
import type { Message } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';
import { admit } from './admission.ts';
import { AttemptLimiter } from './attempt-limiter.ts';
import { hashToken } from './credentials.ts';

const SEED_CONFIG = { metrics_interval: 30, health_interval: 60, reconnect_timeout: 30 };

describe('register', () => {
  it('answers an agent without `protocol` the first deployment’s fields and nothing else', async () => {
    const test = await startHub();
    const { agentId, code } = await test.install('web-1');
    const agent = await test.dial();
    const welcome = await agent.hello({ type: 'register', code, version: '1.0.0' });
    const token = String(welcome['token']);
    expect(welcome).toEqual({ type: 'registered', agent_id: agentId, token, config: SEED_CONFIG });
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(test.hub.connected(agentId)).toMatchObject({ serverId: 'web-1', access: 'admin' });
  });

  it('adds protocol, heartbeat and limits for an agent that names its protocol', async () => {
    const test = await startHub();
    const { welcome } = await test.join('web-1', { protocol: 1 });
    expect(welcome).toMatchObject({
      config: SEED_CONFIG,
      protocol: 1,
      heartbeat: 4,
      limits: { frame_bytes: 16 * 1024 * 1024 },
    });
  });

  it('keeps what the agent tells of itself and ignores what it does not know', async () => {
    const test = await startHub();
    const host = { hostname: 'web', os: 'Debian', arch: 'x64', machine_id: 'm1' };
    const { agentId } = await test.join('web-1', {
      protocol: 1,
      host,
      capabilities: ['agent.ping'],
      access: 'operate',
      instance_id: 'i1',
      held: [],
      colour: 'green',
    });
    expect(await test.row(agentId)).toMatchObject({
      status: 'connected',
      version: '1.0.0',
      protocol: 1,
      host,
      capabilities: ['agent.ping'],
      reportedAccess: 'operate',
    });
    expect(test.hub.connected(agentId)?.access).toBe('operate');
  });

  it('takes the code in lower case and without dashes', async () => {
    const test = await startHub();
    const { code } = await test.install('web-1');
    const agent = await test.dial();
    const typed = code.toLowerCase().replaceAll('-', '');
    expect(await agent.hello({ type: 'register', code: typed })).toMatchObject({
      type: 'registered',
    });
  });

  it('stores neither code nor token, but their hashes', async () => {
    const test = await startHub();
    const { token, agentId } = await test.join('web-1');
    const stored = test.database.client.prepare('SELECT token_hash FROM agents').pluck().get();
    expect(stored).toBe(hashToken(token));
    expect(agentId).not.toContain(token);
  });

  it('lets exactly one of 50 sockets that use one code at once register', async () => {
    const test = await startHub();
    const { agentId, code } = await test.install('web-1');
    const agents = await Promise.all(Array.from({ length: 50 }, () => test.dial()));
    const answers = await Promise.all(
      agents.map((agent) => agent.hello({ type: 'register', code, version: '1.0.0' })),
    );
    expect(answers.filter(({ type }) => type === 'registered')).toHaveLength(1);
    expect(answers.filter((answer) => answer['code'] === 'CODE_USED')).toHaveLength(49);
    expect(test.hub.counters).toMatchObject({ connected: 1, refusedHandshakes: 49 });
    const winner = agents[answers.findIndex(({ type }) => type === 'registered')];
    const call = test.call(agentId);
    const request = await winner?.request();
    winner?.answer(String(request?.id), { status: 'ok', version: '1', agent_id: agentId });
    await expect(call).resolves.toMatchObject({ status: 'ok' });
  });
});

describe('authenticate', () => {
  it('answers an agent without `protocol` the first deployment’s fields and nothing else', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1');
    const { welcome } = await test.rejoin(token);
    expect(welcome).toEqual({ type: 'authenticated', agent_id: agentId, config: SEED_CONFIG });
  });

  it('gives the agent its own settings over those of the fleet', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1');
    await test.database.db.settings.set({ agent_metrics_interval: '10' }, Date.now());
    await test.database.db.agents.setConfig(agentId, { health_interval: 20 }, Date.now());
    const { welcome } = await test.rejoin(token, { protocol: 1 });
    expect(welcome).toMatchObject({
      type: 'authenticated',
      config: { metrics_interval: 10, health_interval: 20, reconnect_timeout: 30 },
      heartbeat: 4,
    });
  });

  it('refuses a token that is revoked between its look-up and its use', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1');
    const { agents } = test.database.db;
    const admission = admit(
      { agents, limiter: new AttemptLimiter(), onClone: () => expect.unreachable() },
      JSON.stringify({ type: 'authenticate', token }),
      '127.0.0.1',
    );
    await agents.revoke(agentId, Date.now());
    await expect(admission).rejects.toMatchObject({
      error: { name: 'AGENT_REVOKED' },
      closeCode: 4002,
    });
    expect(await test.row(agentId)).toMatchObject({ status: 'revoked' });
  });
});

describe('refusals', () => {
  const refusals: [title: string, message: Message | string | Buffer][] = [
    ['text that is not JSON', 'hello'],
    ['JSON that is no object', '[]'],
    ['JSON that nests too deep', `{"type":"register","code":${'['.repeat(65)}${']'.repeat(65)}}`],
    ['nesting without an end', '['.repeat(60_000)],
    ['another type', { type: 'hello', code: 'x', version: '1' }],
    ['a register without a code', { type: 'register', version: '1' }],
    ['an empty code', { type: 'register', code: '', version: '1' }],
    ['an authenticate without a token', { type: 'authenticate', version: '1' }],
    ['a token that is no text', { type: 'authenticate', token: 7, version: '1' }],
    ['a field of the wrong shape', { type: 'authenticate', token: 't', capabilities: 'all' }],
    ['a binary frame', Buffer.from('{"type":"authenticate","token":"t"}')],
    ['a first message a little too large', oversized(70_000)],
    ['a first message much too large', oversized(8_000_000)],
  ];
  it.each(refusals)(
    'answers INVALID_HANDSHAKE and closes with 4001 on %s',
    async (_title, sent) => {
      const test = await startHub({ timings: { closeMs: 300 } });
      await expectRefusal(test, sent, 'INVALID_HANDSHAKE', 4001);
    },
  );

  it('answers CODE_UNKNOWN to a code that nobody was given', async () => {
    const hello = { type: 'register', code: '0000-0000-0000-0000', version: '1' };
    await expectRefusal(await startHub(), hello, 'CODE_UNKNOWN', 4001);
  });

  it('answers CODE_USED to a code that was used already', async () => {
    const test = await startHub();
    const { code } = await test.install('web-1');
    await (await test.dial()).hello({ type: 'register', code, version: '1' });
    await expectRefusal(test, { type: 'register', code, version: '1' }, 'CODE_USED', 4001);
  });

  it('answers CODE_EXPIRED to a code past its time', async () => {
    const test = await startHub();
    const { code } = await test.install('web-1', { ttlMs: -1 });
    await expectRefusal(test, { type: 'register', code, version: '1' }, 'CODE_EXPIRED', 4001);
  });

  it('answers TOKEN_UNKNOWN to a token that nobody was given', async () => {
    const hello = { type: 'authenticate', token: 'nonsense', version: '1' };
    await expectRefusal(await startHub(), hello, 'TOKEN_UNKNOWN', 4001);
  });

  it('answers AGENT_REVOKED and closes with 4002 on a revoked token', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1');
    await test.hub.revoke(agentId);
    await agent.closed;
    await expectRefusal(test, { type: 'authenticate', token }, 'AGENT_REVOKED', 4002);
  });

  it('answers HANDSHAKE_TIMED_OUT to a socket that says nothing in time', async () => {
    const test = await startHub({ timings: { handshakeMs: 50 } });
    await expectRefusal(test, undefined, 'HANDSHAKE_TIMED_OUT', 4001);
  });

  it('answers HANDSHAKE_TIMED_OUT to a first message that dribbles in byte by byte', async () => {
    const test = await startHub({ timings: { handshakeMs: 300 } });
    const agent = await test.dial();
    await agent.writeRaw(Buffer.from([0x81, 0xfe, 0x10, 0x00, 0, 0, 0, 0]));
    const dribble = setInterval(() => void agent.writeRaw(Buffer.from('{')), 20);
    expect(await agent.next()).toMatchObject({ code: 'HANDSHAKE_TIMED_OUT' });
    clearInterval(dribble);
  });

  it('answers INTERNAL_ERROR and closes with 1011 when the database is gone', async () => {
    const test = await startHub();
    const { code } = await test.install('web-1');
    test.database.connection.close();
    const agent = await test.dial();
    const answer = await agent.hello({ type: 'register', code, version: '1' });
    expect(answer).toMatchObject({ code: 'INTERNAL_ERROR' });
    expect(JSON.stringify(answer)).not.toMatch(/database|sqlite/i);
    expect((await agent.closed).code).toBe(1011);
    expect(test.logged).toContainEqual(expect.objectContaining({ msg: 'handshake failed' }));
  });
});

describe('a socket that goes during the handshake', () => {
  it('is neither answered nor counted as refused', async () => {
    const test = await startHub();
    const silent = await test.dial();
    silent.socket.close();
    await silent.closed;
    await test.join('web-1');
    expect(test.hub.counters).toMatchObject({ connected: 1, refusedHandshakes: 0 });
  });

  it('leaves its agent disconnected', async () => {
    const test = await startHub();
    const { agentId, code } = await test.install('web-1');
    const agent = await test.dial();
    agent.send({ type: 'register', code, version: '1' });
    agent.cut();
    await eventually(async () =>
      expect((await test.row(agentId))?.status).toMatch(/^(pending|disconnected)$/),
    );
    await eventually(() => expect(test.hub.counters.connected).toBe(0));
  });
});

function oversized(bytes: number): Message {
  return { type: 'authenticate', token: 't', version: '1', padding: 'x'.repeat(bytes) };
}

async function expectRefusal(
  test: TestHub,
  sent: Message | string | Buffer | undefined,
  name: string,
  closeCode: number,
): Promise<void> {
  const agent = await test.dial();
  const writes = test.writes;
  const refused = test.hub.counters.refusedHandshakes;
  if (sent !== undefined) agent.send(sent);
  expect(await agent.next()).toEqual({ error: expect.any(String), code: name });
  const { code, reason } = await agent.closed;
  expect(code).toBe(closeCode);
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  expect(test.writes).toBe(writes);
  expect(test.hub.counters.refusedHandshakes).toBe(refused + 1);
}
