import { describe, expect, it } from 'vitest';
import { READER, startFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';
import type { OperationResult } from './operations.ts';

type Events = OperationResult<'get_agent_events'>['events'];

const typesOf = (events: Events) => events.map(({ type }) => type);

/** A fleet of two servers, the first with `count` events at one time, the second with one later. */
async function withEvents(count: number) {
  const fleet = await startFleet();
  const { db } = fleet.test.database;
  const first = { agentId: (await fleet.test.install('web-1')).agentId, serverId: 'web-1' };
  const second = { agentId: (await fleet.test.install('web-2')).agentId, serverId: 'web-2' };
  const at = Date.parse('2026-01-31T12:00:00Z');
  await db.events.append(
    Array.from({ length: count }, () => ({ ...first, type: 'start', detail: null, at })),
  );
  await db.events.append([{ ...second, type: 'die', detail: { exit_code: 1 }, at: at + 1_000 }]);
  return fleet;
}

describe('get_agent_events', () => {
  it('shows what happened a moment ago, the newest first', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    agent.notify('agent.event', { type: 'die', container: 'db', exit_code: 137 });
    agent.socket.close();
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
    const { events, next_cursor } = await perform('get_agent_events', {}, READER);
    expect(next_cursor).toBeUndefined();
    expect(typesOf(events)).toEqual(['disconnected', 'agent.die', 'registered']);
    expect(events[1]).toEqual({
      id: expect.any(Number),
      server_id: 'web-1',
      type: 'agent.die',
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      detail: { container: 'db', exit_code: 137 },
    });
  });

  it('is paged without an event twice or left out, also of one millisecond', async () => {
    const { perform } = await withEvents(7);
    const seen: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await perform('get_agent_events', {
        limit: 3,
        ...(cursor === undefined ? {} : { cursor }),
      });
      seen.push(...page.events.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it('goes on at the same place when something happens meanwhile', async () => {
    const { test, perform } = await withEvents(3);
    const { next_cursor } = await perform('get_agent_events', { limit: 2 });
    await test.join('web-3');
    const { events } = await perform('get_agent_events', { cursor: next_cursor });
    expect(events.map(({ id }) => id)).toEqual([2, 1]);
  });

  it('has no further page when the last one is just full', async () => {
    const { perform } = await withEvents(1);
    expect(await perform('get_agent_events', { limit: 2 })).not.toHaveProperty('next_cursor');
  });

  it('ends a page of long details sooner, and shows of very long ones the beginning', async () => {
    const { test, perform } = await withEvents(0);
    const agent = { agentId: 'a', serverId: 'web-1', type: 'long', at: 1 };
    const details = [60_000, 60_000, 7_000, 7_000, 7_000, 7_000, 7_000, 7_000];
    await test.database.db.events.append(
      details.map((length) => ({ ...agent, detail: { text: 'x'.repeat(length) } })),
    );
    const page = await perform('get_agent_events', { limit: 1_000 });
    expect(page.events.map(({ id }) => id)).toEqual([1, 9, 8, 7, 6, 5, 4]);
    const { cursor } = { cursor: page.next_cursor };
    const rest = await perform('get_agent_events', { limit: 1_000, cursor });
    const cut = { detail: null, detail_text: `{"text":"${'x'.repeat(7_991)}`, truncated: true };
    expect(rest.events).toMatchObject([
      { id: 3, ...cut },
      { id: 2, ...cut },
    ]);
    expect(rest).not.toHaveProperty('next_cursor');
  });

  it('names the type that was meant when there is none of it', async () => {
    const { perform } = await withEvents(0);
    const { note } = await perform('get_agent_events', { type: 'container.die' });
    expect(note).toContain('"agent.container.die"');
    const own = await perform('get_agent_events', { type: 'agent.container.die' });
    expect(own.note).not.toContain('"agent.agent.');
    expect(await perform('get_agent_events', { since: 'now' })).not.toHaveProperty('note');
  });

  it('shows what fits every filter', async () => {
    const { perform } = await withEvents(2);
    const types = async (filter: object) =>
      typesOf((await perform('get_agent_events', filter)).events);
    expect(await types({ server_id: 'web-1' })).toEqual(['start', 'start']);
    expect(await types({ server_id: 'web-2' })).toEqual(['die']);
    expect(await types({ type: 'die' })).toEqual(['die']);
    expect(await types({ server_id: 'web-1', type: 'die' })).toEqual([]);
    expect(await types({ since: '2026-01-31T13:00:01+01:00' })).toEqual(['die']);
    expect(await types({ until: '2026-01-31T12:00:01Z' })).toEqual(['start', 'start']);
    expect(await types({ since: '2026-01-31T12:00:01', until: 'now' })).toEqual(['die']);
    expect(await types({ since: '-10m' })).toEqual([]);
    await expect(types({ since: 'now', until: '10m' })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
    });
  });

  it('refuses a server that it does not know', async () => {
    const { perform } = await startFleet();
    await expect(perform('get_agent_events', { server_id: 'nowhere' })).rejects.toMatchObject({
      name: 'UNKNOWN_SERVER',
    });
  });

  it.each([
    'x',
    Buffer.from('[1]').toString('base64url'),
    Buffer.from('[1,"b"]').toString('base64url'),
  ])('refuses a cursor that it did not give: %s', async (cursor) => {
    const { perform } = await startFleet();
    await expect(perform('get_agent_events', { cursor })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
    });
  });
});
