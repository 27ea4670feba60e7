import { AgentRepository } from './agent-repository.ts';
import { CommandRepository } from './command-repository.ts';
import { CommandResults } from './command-results.ts';
import { Connection } from './connection.ts';
import { EventRepository } from './event-repository.ts';
import { LogRepository } from './log-repository.ts';
import { MetricsHistory } from './metrics-history.ts';
import { MetricsRepository } from './metrics-repository.ts';
import { migrate } from './migrations.ts';
import { SettingsRepository } from './settings-repository.ts';

export interface DatabaseOptions {
  /** The SQLite file; made if there is none, in a directory that must exist. */
  file: string;
  /** The directory of the generated migrations. */
  migrationsDir: string;
  /** What the results of commands may take together; no limit if left out. */
  resultsMaxBytes?: number;
}

/** The open database: every method of its repositories is one transaction. */
export class TomoDatabase implements Disposable {
  readonly agents: AgentRepository;
  readonly settings: SettingsRepository;
  readonly commands: CommandRepository;
  readonly results: CommandResults;
  readonly events: EventRepository;
  readonly metrics: MetricsRepository;
  readonly logs: LogRepository;
  readonly metricsHistory: MetricsHistory;
  readonly #connection: Connection;

  constructor(connection: Connection, resultsMaxBytes?: number) {
    this.#connection = connection;
    this.agents = new AgentRepository(connection);
    this.settings = new SettingsRepository(connection);
    this.results = new CommandResults(connection, resultsMaxBytes);
    this.commands = new CommandRepository(connection, this.results);
    this.events = new EventRepository(connection);
    this.metrics = new MetricsRepository(connection);
    this.logs = new LogRepository(connection);
    this.metricsHistory = new MetricsHistory(connection);
  }

  /** Later calls of the repositories fail. Closing twice is harmless. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens and migrates the database. Throws DatabaseError. */
export async function openDatabase(options: DatabaseOptions): Promise<TomoDatabase> {
  const connection = new Connection(options.file);
  try {
    migrate(connection.client, options.migrationsDir);
    return new TomoDatabase(connection, options.resultsMaxBytes);
  } catch (error) {
    connection.close();
    throw error;
  }
}
