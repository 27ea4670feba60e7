import { z } from 'zod';
import { findCommand } from '../../protocol/commands/catalogue.ts';
import type { Call } from './direct-call.ts';
import type { TestClient } from './mcp-client.ts';
import { Started } from './processes.ts';
import { type AgentUser, connect, startAgent, startServer } from './tomo.ts';

const commandSchema = z.looseObject({
  status: z.string().optional(),
  result: z.unknown().optional(),
  truncated: z.boolean().optional(),
  error: z.looseObject({ name: z.string(), message: z.string() }).optional(),
});

/**
 * Carries out methods as a user does: MCP client, `tomo serve`, agent process, engine. Starts the
 * programs at the first call.
 */
export class WholePath implements AsyncDisposable {
  readonly #dockerHost: string;
  readonly #user: AgentUser;
  readonly #started = new Started();
  #client: Promise<TestClient> | undefined;

  constructor(dockerHost: string, user: AgentUser = {}) {
    this.#dockerHost = dockerHost;
    this.#user = user;
  }

  readonly call: Call = (async (method: string, params: object, signal?: AbortSignal) => {
    this.#client ??= this.#start();
    const client = await this.#client;
    const args = { server_id: 'web-1', method, params };
    const { structuredContent } = await client.callTool('send_agent_command', args, signal);
    const { result, error, truncated } = commandSchema.parse(structuredContent);
    if (error !== undefined) throw Object.assign(new Error(error.message), { name: error.name });
    if (truncated === true) throw new Error(`the result of ${method} was cut`);
    return findCommand(method)?.result.parse(result);
  }) as Call;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started[Symbol.asyncDispose]();
  }

  async #start(): Promise<TestClient> {
    const server = await startServer(this.#started);
    const client = await connect(this.#started, 'v2-auto', server.http);
    const env = { DOCKER_HOST: this.#dockerHost };
    await startAgent(this.#started, server, client, 'web-1', env, this.#user);
    return client;
  }
}
