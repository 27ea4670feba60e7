import { describe, expect, it } from 'vitest';
import { type FakeAgent, type Message, PONG } from '../../test/support/fake-agent.ts';
import { type Joined, startHub, type TestHub } from '../../test/support/hub.ts';
import { EventSequence, type Receipt } from './event-sequence.ts';

const HELLO = { protocol: 1, instance_id: 'i1' };

describe('events that an agent tells', () => {
  it('are acknowledged when they are written, and not before', async () => {
    const { test, joined } = await oneAgent();
    joined.agent.notify('agent.event', { type: 'container.die', seq: 1, exit_code: 3 });
    joined.agent.notify('agent.event', { type: 'container.start', seq: 2 });
    expect(await acksSoFar(test, joined)).toEqual([]);
    await test.hub.telemetry.flush();
    // One for all of them: it says that those before are written as well.
    expect(await acksSoFar(test, joined)).toEqual([2]);
    expect(await kept(test, joined)).toEqual([
      { type: 'agent.container.die', detail: { exit_code: 3 } },
      { type: 'agent.container.start', detail: {} },
    ]);
  });

  it('are kept once when they come again, and once more of another process', async () => {
    const { test, joined } = await oneAgent();
    tell(joined.agent, 1, 1);
    await acksSoFar(test, joined);
    const again = await test.rejoin(joined.token, HELLO);
    tell(again.agent, 1, 2);
    expect(await acksSoFar(test, { ...joined, agent: again.agent })).toEqual([]);
    await test.hub.telemetry.flush();
    // On the socket on which they came last.
    expect(await acksSoFar(test, { ...joined, agent: again.agent })).toEqual([2]);
    tell(again.agent, 1, 2);
    expect(await acksSoFar(test, { ...joined, agent: again.agent })).toEqual([1, 2]);
    const other = await test.rejoin(joined.token, { ...HELLO, instance_id: 'i2' });
    tell(other.agent, 1, 1);
    await acksSoFar(test, { ...joined, agent: other.agent });
    await test.hub.telemetry.flush();
    expect((await kept(test, joined)).map(({ detail }) => detail)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 1 },
    ]);
  });

  it('are all kept, once each, where more come at once than one round takes', async () => {
    const { test, joined } = await oneAgent();
    tell(joined.agent, 1, 1_000);
    await acksSoFar(test, joined);
    await test.hub.telemetry.nextRound();
    const [taken = 0, ...more] = await acksSoFar(test, joined);
    expect(more).toEqual([]);
    expect(taken).toBeLessThan(1_000);
    // One that happens meanwhile would acknowledge those that had no room.
    tell(joined.agent, 1_001, 1_001);
    await acksSoFar(test, joined);
    await test.hub.telemetry.flush();
    expect(await acksSoFar(test, joined)).toEqual([]);
    for (let from = taken + 1; from <= 1_001; ) {
      tell(joined.agent, from, 1_001);
      await acksSoFar(test, joined);
      await test.hub.telemetry.nextRound();
      const [last = 0] = await acksSoFar(test, joined);
      expect(last).toBeGreaterThanOrEqual(from);
      from = last + 1;
    }
    const events = await kept(test, joined);
    expect(events.map(({ detail }) => detail)).toEqual(
      Array.from({ length: 1_001 }, (_, index) => ({ n: index + 1 })),
    );
    expect(test.hub.telemetry.dropped).toBe(0);
  });

  it('are not acknowledged when they cannot be written, and kept once when they come again', async () => {
    const { test, joined } = await oneAgent();
    tell(joined.agent, 1, 1);
    await acksSoFar(test, joined);
    await test.hub.telemetry.flush();
    expect(await acksSoFar(test, joined)).toEqual([1]);
    test.database.client.exec(`CREATE TRIGGER refuse BEFORE INSERT ON agent_events
      BEGIN SELECT RAISE(ABORT, 'refused'); END`);
    tell(joined.agent, 2, 3);
    await acksSoFar(test, joined);
    await test.hub.telemetry.flush();
    test.database.client.exec('DROP TRIGGER refuse');
    tell(joined.agent, 4, 4);
    expect(await acksSoFar(test, joined)).toEqual([]);
    await test.hub.telemetry.flush();
    expect(await acksSoFar(test, joined)).toEqual([]);
    tell(joined.agent, 2, 4);
    await acksSoFar(test, joined);
    await test.hub.telemetry.flush();
    expect(await acksSoFar(test, joined)).toEqual([4]);
    const events = await kept(test, joined);
    expect(events.map(({ detail }) => detail)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }]);
    expect(test.hub.telemetry.dropped).toBe(0);
  });

  it('are kept once by a hub that follows one which was killed before it acknowledged them', async () => {
    const { test, joined } = await oneAgent();
    tell(joined.agent, 1, 2);
    await acksSoFar(test, joined);
    await test.hub.telemetry.flush();
    test.hub.terminate();
    const next = await startHub({ database: test.database });
    const { agent } = await next.rejoin(joined.token, HELLO);
    tell(agent, 1, 3);
    await acksSoFar(next, { ...joined, agent });
    await next.hub.telemetry.flush();
    expect(await acksSoFar(next, { ...joined, agent })).toEqual([3]);
    expect((await kept(next, joined)).map(({ detail }) => detail)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ]);
    const nameless = await next.rejoin(joined.token, { protocol: 1 });
    tell(nameless.agent, 1, 1);
    await acksSoFar(next, { ...joined, agent: nameless.agent });
    await next.hub.telemetry.flush();
    expect(await kept(next, joined)).toHaveLength(4);
  });

  it('are written and acknowledged before the hub closes the socket', async () => {
    const { test, joined } = await oneAgent();
    tell(joined.agent, 1, 2);
    await acksSoFar(test, joined);
    const closing = test.hub.close();
    const ack = await joined.agent.nextWhere(({ method }) => method === 'events.ack');
    expect(ack['params']).toEqual({ seq: 2 });
    await closing;
  });
});

describe('EventSequence', () => {
  it('takes back what waits behind events that could not be written', () => {
    const sequence = new EventSequence();
    const acks: number[] = [];
    const receipts: Receipt[] = [];
    const take = (seq: number): void =>
      sequence.take(
        { agentId: 'a1', instanceId: 'i1', seq },
        {
          keep: (receipt) => receipts.push(receipt) > 0,
          acknowledge: (upTo) => acks.push(upTo),
        },
      );
    for (const seq of [1, 2, 3]) take(seq);
    receipts[0]?.kept();
    receipts[1]?.lost();
    expect(receipts[2]?.isVoid).toBe(true);
    // What is void counts neither way.
    receipts[2]?.kept();
    receipts[2]?.lost();
    expect(acks).toEqual([]);
    take(4);
    for (const seq of [2, 3, 4]) take(seq);
    expect(receipts).toHaveLength(6);
    for (const receipt of receipts.slice(3)) receipt.kept();
    expect(acks).toEqual([4]);
  });
});

async function oneAgent(): Promise<{ test: TestHub; joined: Joined }> {
  const test = await startHub();
  return { test, joined: await test.join('web-1', HELLO) };
}

function tell(agent: FakeAgent, from: number, to: number): void {
  for (let seq = from; seq <= to; seq += 1) {
    agent.notify('agent.event', { type: 'container.die', n: seq, seq });
  }
}

/** What the hub has acknowledged since it was looked at last, when it has read all that was sent. */
async function acksSoFar(
  test: TestHub,
  { agent, agentId }: Pick<Joined, 'agent' | 'agentId'>,
): Promise<number[]> {
  const acks: number[] = [];
  // By the answer of the first call all was read; what came of it is there before the second call.
  for (let round = 0; round < 2; round += 1) {
    const call = test.call(agentId);
    const { id } = await agent.nextWhere(({ method, params, id }) => {
      if (method === 'events.ack') acks.push(Number((params as Message)['seq']));
      return id !== undefined;
    });
    agent.answer(String(id), PONG);
    await call;
  }
  return acks;
}

/** The events of the agent's own, the oldest first. */
async function kept({ database }: TestHub, { agentId }: Joined) {
  const rows = await database.db.events.recent(agentId, 10_000);
  return rows
    .filter(({ type }) => type.startsWith('agent.'))
    .toSorted((one, other) => one.id - other.id)
    .map(({ type, detail }) => ({ type, detail }));
}
