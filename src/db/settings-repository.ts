import type { Connection } from './connection.ts';
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

  /** Sets all of them or none; keys that are not named keep their values. */
  async set(values: Readonly<Record<string, string>>, now: number): Promise<void> {
    await this.#connection.transaction(() => {
      for (const [key, value] of Object.entries(values)) {
        this.#connection.orm
          .insert(settings)
          .values({ key, value, updatedAt: now })
          .onConflictDoUpdate({ target: settings.key, set: { value, updatedAt: now } })
          .run();
      }
    });
  }
}
