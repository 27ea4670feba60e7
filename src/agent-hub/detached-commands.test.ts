import { describe, expect, it } from 'vitest';
import { answerPing, parkCandidate } from '../../test/support/candidate.ts';
import { type FakeAgent, type Message, PONG } from '../../test/support/fake-agent.ts';
import { startFleet, type TestFleet } from '../../test/support/fleet.ts';
import { eventually, type TestHub } from '../../test/support/hub.ts';
import type { CommandRow } from '../db/command-repository.ts';

const HELLO = { protocol: 1, instance_id: 'p1' };
const EXEC = { server_id: 'web-1', method: 'system.exec', params: { command: 'sleep 3' } };
const OUTPUT = { stdout: 'done', stderr: '', exit_code: 0 };

/** An agent with a command under way that was sent through the fleet. */
interface Under extends TestFleet {
  readonly agent: FakeAgent;
  readonly agentId: string;
  readonly token: string;
  readonly id: string;
  readonly sent: ReturnType<TestFleet['perform']>;
}

async function underWay(hello: Message = HELLO): Promise<Under> {
  const fleet = await startFleet();
  const { agent, agentId, token } = await fleet.test.join('web-1', hello);
  const sent = fleet.perform('send_agent_command', EXEC);
  const { id } = await agent.request();
  return { ...fleet, agent, agentId, token, id, sent };
}

/** The same when the agent's connection was cut. */
async function detached(hello: Message = HELLO): Promise<Under> {
  const under = await underWay(hello);
  under.agent.cut();
  expect(await under.sent).toMatchObject({ status: 'detached' });
  return under;
}

async function rowOf(test: TestHub, id: string): Promise<CommandRow | undefined> {
  const rows = await test.database.db.commands.recent({ limit: 100 });
  return rows.find((row) => row.id === id);
}

async function expectRow(test: TestHub, id: string, row: object): Promise<void> {
  await eventually(async () => expect(await rowOf(test, id)).toMatchObject(row));
}

describe('a command whose agent goes', () => {
  it('is told to its caller with the next step, and its row says so by then', async () => {
    const { test, agent, sent, id } = await underWay();
    agent.cut();
    const answer = await sent;
    expect(answer).toMatchObject({
      command_id: id,
      status: 'detached',
      error: {
        name: 'CONNECTION_LOST',
        message: expect.stringMatching(/may still run.*get_command_history.*"web-1"/),
      },
    });
    expect(await rowOf(test, id)).toMatchObject({ status: 'detached', errorCode: 1002 });
  });

  it('is told to its caller in the turn in which the socket closes', async () => {
    const { test, agent, agentId } = await underWay();
    const events: string[] = [];
    const call = test.call(agentId, { id: 'c2', hasRow: true });
    void call.catch(() => events.push('told'));
    const away = test.hub.waitForDeparture(agentId, AbortSignal.timeout(20_000));
    agent.cut();
    await away;
    setImmediate(() => events.push('next turn'));
    await eventually(() => expect(events).toHaveLength(2));
    expect(events).toEqual(['told', 'next turn']);
  });

  it('fails as before for an agent that keeps no answers', async () => {
    const { test, agent, sent, id } = await underWay({});
    agent.cut();
    expect(await sent).toMatchObject({ status: 'failed', error: { name: 'CONNECTION_LOST' } });
    expect(await rowOf(test, id)).toMatchObject({ status: 'failed' });
  });

  it('fails when the agent is revoked, and is lost when it is revoked while away', async () => {
    const present = await underWay();
    await present.test.hub.revoke(present.agentId);
    expect(await present.sent).toMatchObject({
      status: 'failed',
      error: { name: 'AGENT_REVOKED' },
    });
    const away = await detached();
    await away.test.hub.revoke(away.agentId);
    expect(await rowOf(away.test, away.id)).toMatchObject({ status: 'lost', errorCode: 1005 });
  });

  it('is detached too when a newer socket supersedes the agent’s, or the hub ends', async () => {
    const superseded = await underWay();
    await superseded.test.rejoin(superseded.token, { ...HELLO, held: [superseded.id] });
    expect(await superseded.sent).toMatchObject({ status: 'detached' });
    expect(await rowOf(superseded.test, superseded.id)).toMatchObject({ status: 'detached' });
    const ended = await underWay();
    await ended.test.hub.close();
    expect(await ended.sent).toMatchObject({ status: 'detached' });
    expect(await rowOf(ended.test, ended.id)).toMatchObject({ status: 'detached' });
  });
});

describe('the answer that comes later', () => {
  it('ends the row, and the agent may forget it', async () => {
    const { test, token, id } = await detached();
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    expect(await rowOf(test, id)).toMatchObject({ status: 'detached' });
    agent.answer(id, OUTPUT);
    expect(await agent.next()).toMatchObject({ method: '$/stored', params: { ids: [id] } });
    expect(await rowOf(test, id)).toMatchObject({
      status: 'succeeded',
      errorCode: null,
      errorMessage: null,
      resultBytes: JSON.stringify(OUTPUT).length,
    });
    expect(test.hub.counters).toMatchObject({ strayAnswers: 0 });
  });

  const failed = { status: 'failed', errorCode: 1202, errorMessage: 'no' };
  const outcomes: [string, (agent: FakeAgent, id: string) => void, object][] = [
    ['failed', (agent, id) => agent.fail(id, { code: 1202, message: 'no' }), failed],
    [
      'cancelled',
      (agent, id) => agent.fail(id, { code: 1004, message: 'x' }),
      { status: 'cancelled' },
    ],
    [
      'timed_out',
      (agent, id) => agent.answer(id, { ...OUTPUT, exit_code: -1, timed_out: true }),
      { status: 'timed_out' },
    ],
    [
      'failed, being no valid answer',
      (agent, id) => agent.answer(id, { nothing: true }),
      { status: 'failed', errorCode: 1009 },
    ],
  ];
  it.each(outcomes)('ends the row as %s', async (_name, answer, row) => {
    const { test, token, id } = await detached();
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    answer(agent, id);
    await expectRow(test, id, row);
  });

  it('ends the row once: repeated it is counted, changes nothing, and may be forgotten', async () => {
    const { test, token, id } = await detached();
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    agent.answer(id, OUTPUT);
    agent.fail(id, { code: 1202, message: 'forged' });
    expect(await agent.next()).toMatchObject({ params: { ids: [id, id] } });
    expect(await rowOf(test, id)).toMatchObject({ status: 'succeeded' });
    expect(test.hub.counters).toMatchObject({ strayAnswers: 1 });
  });

  it('is ignored when it comes from another agent', async () => {
    const { test, perform, id } = await detached();
    const other = await test.join('web-2', { protocol: 1 });
    // It has a detached command of its own, so that its answers are looked up.
    const own = perform('send_agent_command', { ...EXEC, server_id: 'web-2' });
    const request = await other.agent.request();
    const { agent: thief } = await test.rejoin(other.token, { protocol: 1, held: [request.id] });
    expect(await own).toMatchObject({ status: 'detached' });
    thief.answer(id, OUTPUT);
    expect(await thief.next()).toMatchObject({ method: '$/stored' });
    expect(await rowOf(test, id)).toMatchObject({ status: 'detached' });
    expect(test.hub.counters).toMatchObject({ strayAnswers: 1 });
  });

  it('never ends another call, nor a call with a row that was answered or given up', async () => {
    const { test, perform, token, id } = await detached();
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    const sent = perform('send_agent_command', EXEC);
    const request = await agent.request();
    agent.answer(request.id, OUTPUT);
    agent.fail(request.id, { code: 1202, message: 'forged' });
    expect(await sent).toMatchObject({ status: 'succeeded' });
    const brief = perform('send_agent_command', {
      ...EXEC,
      method: 'agent.ping',
      params: {},
      timeout_seconds: 0.02,
    });
    const ping = await agent.request();
    expect(await brief).toMatchObject({ status: 'timed_out' });
    agent.answer(ping.id, PONG);
    agent.answer(id, OUTPUT);
    await expectRow(test, id, { status: 'succeeded' });
    expect(await rowOf(test, request.id)).toMatchObject({ status: 'succeeded' });
    expect(await rowOf(test, ping.id)).toMatchObject({ status: 'timed_out' });
  });

  it('may be 10 MiB large', async () => {
    const { test, token, id } = await detached();
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    const large = { ...OUTPUT, stdout: 'x'.repeat(10 * 1024 * 1024) };
    agent.answer(id, large);
    await expectRow(test, id, { status: 'succeeded', resultBytes: JSON.stringify(large).length });
  });
});

describe('an agent that comes back without an answer', () => {
  const returns: [string, Message, Message, object][] = [
    [
      'fails the command if it is another process',
      HELLO,
      { instance_id: 'p2' },
      { status: 'failed' },
    ],
    ['loses the command if it is the same process', HELLO, {}, { status: 'lost' }],
    [
      'loses the command if its process is not known',
      { protocol: 1 },
      { instance_id: 'p2' },
      { status: 'lost' },
    ],
  ];
  it.each(returns)('%s', async (_name, first, second, row) => {
    const { test, token, id } = await detached(first);
    await test.rejoin(token, { ...HELLO, ...second });
    await expectRow(test, id, { ...row, errorCode: 1013 });
  });

  it('ends nothing else: not what it holds, not what was begun since', async () => {
    const { test, perform, token, id } = await detached();
    const { agent } = await test.rejoin(token, { ...HELLO, held: [id] });
    const sent = perform('send_agent_command', EXEC);
    const later = await agent.request();
    const { agent: third } = await test.rejoin(token, { ...HELLO, held: [id, later.id] });
    expect(await sent).toMatchObject({ status: 'detached' });
    third.answer(later.id, OUTPUT);
    third.answer(id, OUTPUT);
    await expectRow(test, later.id, { status: 'succeeded' });
    await expectRow(test, id, { status: 'succeeded' });
  });

  it('leaves an older process of it the time to answer', async () => {
    const { test, token, id, agent: older } = await underWay();
    // Superseded, its socket stays open: it leaves the close unanswered.
    older.socket.pause();
    await test.rejoin(token, { protocol: 1, instance_id: 'p2' });
    expect(await rowOf(test, id)).toMatchObject({ status: 'detached' });
    older.cut();
    await expectRow(test, id, { status: 'failed', errorCode: 1013 });
  });
});

describe('an agent that its candidate replaces', () => {
  it('brings first what it holds of an earlier socket', async () => {
    const { test, agentId, token, id } = await detached();
    const { agent: older } = await test.rejoin(token, { ...HELLO, held: [id] });
    const promoted = test.hub.waitForPromotion(agentId, AbortSignal.timeout(20_000));
    const { agent: newer } = await parkCandidate(test, agentId, { instance_id: 'p2' });
    await answerPing(newer);
    expect(await promoted).toBe('promoted');
    expect(await older.nextWhere(({ method }) => method === '$/retire')).toBeDefined();
    expect(await rowOf(test, id)).toMatchObject({ status: 'detached' });
    expect(older.socket.readyState).toBe(older.socket.OPEN);
    older.answer(id, OUTPUT);
    expect(await older.closed).toMatchObject({ code: 4003 });
    expect(await rowOf(test, id)).toMatchObject({ status: 'succeeded' });
  });

  it('fails what it does not bring', async () => {
    const { test, agentId, id } = await detached();
    const { agent: newer } = await parkCandidate(test, agentId, { instance_id: 'p2' });
    expect(await rowOf(test, id)).toMatchObject({ status: 'detached' });
    await answerPing(newer);
    await expectRow(test, id, { status: 'failed', errorCode: 1013 });
  });
});

describe('a database that refuses', () => {
  const REFUSE = `CREATE TRIGGER refuse BEFORE UPDATE ON commands
    BEGIN SELECT RAISE(ABORT, 'refused'); END`;

  it('gets what became of commands later, in the same order', async () => {
    const { test, agent, agentId, sent, token, id } = await underWay();
    test.database.client.exec(REFUSE);
    agent.cut();
    expect(await sent).toMatchObject({ status: 'detached' });
    const { agent: again } = await test.rejoin(token, { ...HELLO, held: [id] });
    again.answer(id, OUTPUT);
    const barrier = test.call(agentId, { id: 'b' });
    again.answer('b', PONG);
    await barrier;
    await test.hub.telemetry.flush();
    expect(await rowOf(test, id)).toMatchObject({ status: 'running' });
    test.database.client.exec('DROP TRIGGER refuse');
    await test.hub.telemetry.flush();
    expect(await rowOf(test, id)).toMatchObject({ status: 'succeeded' });
    const told = await again.nextWhere(
      ({ method, params }) => method === '$/stored' && JSON.stringify(params).includes(id),
    );
    expect(told).toBeDefined();
  });
});
