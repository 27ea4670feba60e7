import { expect, it } from 'vitest';
import { eventually, startHub } from '../../test/support/hub.ts';
import { LaterCancels } from './later-cancels.ts';

it('forgets a command that has ended, and refuses further ones when too many wait', async () => {
  const test = await startHub();
  const { hub, database } = test;
  const { agentId } = await test.install('web-1');
  const cancels = new LaterCancels();
  expect(cancels.add(hub, agentId, 'ended')).toBe(true);
  const begin = (id: string) =>
    database.db.commands.begin({
      id,
      serverId: 'web-1',
      agentId,
      actor: 'http',
      origin: null,
      instanceId: null,
      method: 'system.exec',
      params: {},
      startedAt: Date.now(),
    });
  const ids = Array.from({ length: 1_000 }, (_, index) => `c${index}`);
  for (const id of ids) await begin(id);
  await eventually(() => expect(ids.every((id) => cancels.add(hub, agentId, id))).toBe(true));
  expect(cancels.add(hub, agentId, 'one more')).toBe(false);
  // One that waits already is no further one.
  expect(cancels.add(hub, agentId, 'c0')).toBe(true);
});

it('has a command stopped when its agent is back, though the database refused meanwhile', async () => {
  const test = await startHub();
  const hello = { protocol: 1, instance_id: 'p' };
  const { agent, agentId, token } = await test.join('web-1', hello);
  agent.cut();
  await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
  const { client } = test.database;
  client.exec('ALTER TABLE commands RENAME TO away');
  const cancels = new LaterCancels();
  expect(cancels.add(test.hub, agentId, 'c1')).toBe(true);
  await expect(test.hub.waitForEnd('c1', new AbortController().signal)).rejects.toMatchObject({
    name: 'DatabaseError',
  });
  client.exec('ALTER TABLE away RENAME TO commands');
  const { agent: back } = await test.rejoin(token, { ...hello, held: ['c1'] });
  const told = await back.nextWhere(({ method }) => method === '$/cancelRequest');
  expect(told).toHaveProperty('params', { id: 'c1' });
});
