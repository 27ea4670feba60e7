import { eq } from 'drizzle-orm';
import type { Connection, Orm } from './connection.ts';
import { settings } from './schema.ts';

/** The general settings: text by key, seeded by the migrations. Methods throw DatabaseError. */
export class SettingsRepository {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async all(): Promise<Record<string, string>> {
    const rows = await this.#connection.run(() =>
      this.#connection.orm
        .select({ key: settings.key, value: settings.value })
        .from(settings)
        .all(),
    );
    return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
  }

  /** Sets all of them or none; null removes a key; keys that are not named keep their values. */
  async set(values: Readonly<Record<string, string | null>>, now: number): Promise<void> {
    const { orm } = this.#connection;
    await this.#connection.transaction(() => {
      for (const [key, value] of Object.entries(values)) setOne(orm, key, value, now);
    });
  }
}

function setOne(orm: Orm, key: string, value: string | null, now: number): void {
  if (value === null) {
    orm.delete(settings).where(eq(settings.key, key)).run();
    return;
  }
  orm
    .insert(settings)
    .values({ key, value, updatedAt: now })
    .onConflictDoUpdate({ target: settings.key, set: { value, updatedAt: now } })
    .run();
}
