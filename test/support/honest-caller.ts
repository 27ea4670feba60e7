/** Calls agents through MCP one after the other for as long as it lives: `node honest-caller.ts URL TOKEN SERVER...`. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { connectClient } from './mcp-client.ts';

const [url = '', token = '', ...serverIds] = process.argv.slice(2);
// So that it measures the hub rather than keeps it busy.
const PAUSE_MS = 5;
const statusSchema = z.looseObject({ status: z.string().optional() });

const client = await connectClient('v2-auto', { url, token });
for (let turn = 0; ; turn += 1) {
  const server_id = serverIds[turn % serverIds.length];
  const startedAt = performance.now();
  const args = { server_id, method: 'agent.ping', params: {} };
  const answer = await client.callTool('send_agent_command', args);
  const took = performance.now() - startedAt;
  const { status } = statusSchema.parse(answer.structuredContent ?? {});
  const text = status === 'succeeded' ? '' : JSON.stringify(answer.structuredContent);
  process.stdout.write(`${took} ${text}\n`);
  await pause(PAUSE_MS);
}
