import { expect, it } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';

const DEFAULTS = {
  agent_metrics_interval: '30',
  agent_health_interval: '60',
  agent_reconnect_timeout: '30',
  agent_code_ttl_minutes: '5',
};

it('holds the defaults in a new database, described', async () => {
  const { client, db } = temporaryDatabase();
  expect(await db.settings.all()).toEqual(DEFAULTS);
  const categories = client
    .prepare("SELECT category FROM settings WHERE description <> ''")
    .pluck();
  expect(categories.all()).toEqual(['agent', 'agent', 'agent', 'agent']);
});

it('sets what is named and keeps the rest', async () => {
  const { db } = temporaryDatabase();
  await db.settings.set({ agent_health_interval: '90', hub_name: 'home' }, 5);
  expect(await db.settings.all()).toEqual({
    ...DEFAULTS,
    agent_health_interval: '90',
    hub_name: 'home',
  });
});

it('sets all or none', async () => {
  const { client, db } = temporaryDatabase();
  client.exec(`CREATE TRIGGER refuse BEFORE INSERT ON settings WHEN NEW.key = 'bad'
    BEGIN SELECT RAISE(ABORT, 'no'); END`);
  await expect(db.settings.set({ agent_health_interval: '90', bad: '1' }, 5)).rejects.toMatchObject(
    {
      name: 'DatabaseError',
      code: 'other',
    },
  );
  expect(await db.settings.all()).toEqual(DEFAULTS);
});
