import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startFleet, type TestFleet } from '../../test/support/fleet.ts';
import { eventually, type Joined } from '../../test/support/hub.ts';
import { TokenRotation } from './token-rotation.ts';

const ABLE = { protocol: 1, capabilities: ['agent.rotate_token'] };
const DAY_MS = 24 * 3_600_000;
const log = pino({ level: 'silent' });

/** A rotation whose first round is over. */
async function startRotation({ test }: TestFleet): Promise<TokenRotation> {
  const rotation = new TokenRotation({ db: test.database.db, hub: test.hub, log });
  onTestFinished(() => rotation[Symbol.dispose]());
  await rotation.round();
  return rotation;
}

async function joinAll(fleet: TestFleet, count: number): Promise<Joined[]> {
  const names = Array.from({ length: count }, (_, n) => `web-${n}`);
  const joined = await Promise.all(names.map((name) => fleet.test.join(name, ABLE)));
  await eventually(async () => {
    for (const { agentId } of joined) {
      expect((await fleet.test.row(agentId))?.status).toBe('connected');
    }
  });
  return joined;
}

describe('automatic rotation', () => {
  it('gives a new token to every agent whose token is old, a few at one time', async () => {
    const fleet = await startFleet();
    const joined = await joinAll(fleet, 10);
    await fleet.perform('configure_agents', { settings: { token_rotation_days: 7 } });
    const rotation = await startRotation(fleet);
    let open = 0;
    let most = 0;
    const answered = joined.map(async ({ agent }) => {
      const { id, method } = await agent.request();
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      agent.answer(id, { status: 'stored' });
      return method;
    });
    await rotation.round(Date.now() + 8 * DAY_MS);
    expect(await Promise.all(answered)).toEqual(joined.map(() => 'agent.rotate_token'));
    expect(most).toBeLessThanOrEqual(4);
    for (const { agentId } of joined) {
      expect(await fleet.test.row(agentId)).toMatchObject({ pendingTokenStored: true });
    }
  });

  it('leaves tokens alone that are young, and all of them when it is not asked for', async () => {
    const fleet = await startFleet();
    const [joined] = await joinAll(fleet, 1);
    const rotation = await startRotation(fleet);
    await rotation.round(Date.now() + 400 * DAY_MS);
    await fleet.perform('configure_agents', { settings: { token_rotation_days: 7 } });
    await rotation.round(Date.now() + 6 * DAY_MS);
    await fleet.perform('configure_agents', { settings: { token_rotation_days: 0 } });
    await rotation.round(Date.now() + 400 * DAY_MS);
    expect(await fleet.test.row(String(joined?.agentId))).toMatchObject({ hasPendingToken: false });
  });

  it('is never at work twice at once', async () => {
    const fleet = await startFleet();
    const [joined] = await joinAll(fleet, 1);
    await fleet.perform('configure_agents', { settings: { token_rotation_days: 1 } });
    const rotation = await startRotation(fleet);
    const later = Date.now() + 2 * DAY_MS;
    const rounds = [rotation.round(later), rotation.round(later)];
    expect(rounds[0]).toBe(rounds[1]);
    const request = await joined?.agent.request();
    joined?.agent.answer(String(request?.id), { status: 'stored' });
    await Promise.all(rounds);
  });

  it('goes on with the others when an agent does not take its token', async () => {
    const fleet = await startFleet();
    const joined = await joinAll(fleet, 6);
    await fleet.perform('configure_agents', { settings: { token_rotation_days: 1 } });
    const rotation = await startRotation(fleet);
    const answered = joined.map(async ({ agent }, n) => {
      const { id } = await agent.request();
      if (n < 5) agent.fail(id, { code: -32_603, message: 'no' });
      else agent.answer(id, { status: 'stored' });
    });
    await rotation.round(Date.now() + 2 * DAY_MS);
    await Promise.all(answered);
    const rows = await Promise.all(joined.map(({ agentId }) => fleet.test.row(agentId)));
    expect(rows.map((row) => row?.pendingTokenStored)).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  it('ends what is over its grace: at the start, too', async () => {
    const fleet = await startFleet();
    const [joined] = await joinAll(fleet, 1);
    const agentId = String(joined?.agentId);
    const { agents } = fleet.test.database.db;
    await agents.offerToken(agentId, { tokenHash: 'h', expiresAt: Date.now() - 1 });
    await startRotation(fleet);
    expect(await fleet.test.row(agentId)).toMatchObject({ hasPendingToken: false });
  });

  it('asks nobody any more once it is disposed', async () => {
    const fleet = await startFleet();
    const joined = await joinAll(fleet, 6);
    await fleet.perform('configure_agents', { settings: { token_rotation_days: 1 } });
    const rotation = await startRotation(fleet);
    const round = rotation.round(Date.now() + 2 * DAY_MS);
    const first = await Promise.race(
      joined.map(async ({ agent }) => ({ agent, request: await agent.request() })),
    );
    rotation[Symbol.dispose]();
    for (const { agent } of joined) agent.cut();
    expect(first.request.method).toBe('agent.rotate_token');
    await round;
    const rows = await Promise.all(joined.map(({ agentId }) => fleet.test.row(agentId)));
    expect(rows.filter((row) => row?.hasPendingToken)).toHaveLength(4);
  });

  it('outlives a database that refuses', async () => {
    const fleet = await startFleet();
    const rotation = await startRotation(fleet);
    fleet.test.database.client.exec('PRAGMA query_only = ON');
    fleet.test.database.db.close();
    await expect(rotation.round()).resolves.toBeUndefined();
  });
});
