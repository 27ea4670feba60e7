import { expect } from 'vitest';
import { z } from 'zod';
import { send } from './commands.ts';
import type { TestClient } from './mcp-client.ts';

const pageSchema = z.object({
  status: z.string(),
  output: z
    .object({
      next_offset: z.number(),
      parts: z.array(z.object({ text: z.string() })),
      dropped_bytes: z.number(),
    })
    .optional(),
});

/** Reads the output of a command that runs line by line, as a client does: page after page. */
export class OutputReader {
  readonly id: string;
  droppedBytes = 0;
  calls = 0;
  readonly #client: TestClient;
  readonly #take: (line: string) => void;
  #offset = 0;
  #rest = '';

  constructor(client: TestClient, id: string, take: (line: string) => void) {
    this.#client = client;
    this.id = id;
    this.#take = take;
  }

  /** Begins a command of which it is known that it does not end by itself. */
  static async begin(
    client: TestClient,
    [serverId, method, params]: readonly [string, string, object],
    take: (line: string) => void,
  ): Promise<OutputReader> {
    const begun = await send(client, serverId, method, params, { wait_seconds: 0 });
    expect(begun).toMatchObject({ status: 'running' });
    return new OutputReader(client, begun.command_id ?? '', take);
  }

  /** Takes the next page, or waits some seconds for one. */
  async read(): Promise<void> {
    const args = { command_id: this.id, offset: this.#offset, wait_seconds: 5 };
    const answer = await this.#client.callTool('get_command', args);
    const { status, output } = pageSchema.parse(answer.structuredContent);
    expect(status).toBe('running');
    this.calls += 1;
    this.#offset = output?.next_offset ?? this.#offset;
    this.droppedBytes += output?.dropped_bytes ?? 0;
    for (const { text } of output?.parts ?? []) {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    }
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.read();
  }

  /** Stops the command, and waits for its end. */
  async cancel(): Promise<void> {
    const args = { command_id: this.id, wait_seconds: 30 };
    const { structuredContent } = await this.#client.callTool('cancel_command', args);
    expect(structuredContent).toMatchObject({ status: 'cancelled' });
  }
}
