import { join } from 'node:path';
import { z } from 'zod';
import type { TestClient } from './mcp-client.ts';
import type { Program, Started } from './processes.ts';
import type { TomoServer } from './tomo.ts';

const installSchema = z.object({ agent_id: z.string(), registration_code: z.string() });

/** An agent that was installed, and whose process may be started any number of times. */
export interface InstalledAgent {
  readonly agentId: string;
  readonly code: string;
  readonly dataDir: string;
  /** All that its process is told; more variables win. */
  readonly environment: Readonly<Record<string, string>>;
  /** Starts a process and waits until it is connected. */
  start(env?: Record<string, string>): Promise<Program>;
}

/** Makes a server's agent, but starts nothing. */
export async function installAgent(
  started: Started,
  server: Pick<TomoServer, 'url'>,
  client: TestClient,
  serverId: string,
  dataDir: string = join(started.directory(), 'agent'),
): Promise<InstalledAgent> {
  const { structuredContent } = await client.callTool('install_agent', { server_id: serverId });
  const { agent_id, registration_code } = installSchema.parse(structuredContent);
  const environment = {
    SERVER_URL: socketUrl(server),
    REGISTER_CODE: registration_code,
    DATA_DIR: dataDir,
    // Nothing here is about containers, and an engine may be slow while a machine is busy.
    DOCKER_HOST: 'unix:///no/such/socket',
  };
  return {
    agentId: agent_id,
    code: registration_code,
    dataDir,
    environment,
    start: async (env = {}) => {
      const program = started.agent({ ...environment, ...env });
      await program.line('"connected"');
      return program;
    },
  };
}

/** Where agents dial. */
export function socketUrl({ url }: Pick<TomoServer, 'url'>): string {
  return `${url.replace('http', 'ws')}/ws/agent`;
}
