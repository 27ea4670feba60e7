import { expect, it } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';

const DEFAULTS = {
  agent_metrics_interval: '30',
  agent_health_interval: '60',
  agent_reconnect_timeout: '30',
  agent_code_ttl_minutes: '5',
  agent_token_rotation_days: '0',
  agent_token_grace_minutes: '60',
};

it('holds the defaults in a new database, described', async () => {
  const { client, db } = temporaryDatabase();
  expect(await db.settings.all()).toEqual(DEFAULTS);
  const categories = client
    .prepare("SELECT category FROM settings WHERE description <> ''")
    .pluck();
  expect(categories.all()).toEqual(Array(6).fill('agent'));
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

it('removes what is set to null', async () => {
  const { db } = temporaryDatabase();
  await db.settings.set({ hub_name: 'home', agent_health_interval: '90' }, 5);
  await db.settings.set({ hub_name: null, absent: null, agent_health_interval: '80' }, 6);
  expect(await db.settings.all()).toEqual({ ...DEFAULTS, agent_health_interval: '80' });
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
