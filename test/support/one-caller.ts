/** An MCP client that makes one call and can be killed: `node one-caller.ts KIND TARGET TOOL ARGUMENTS`. */
import { z } from 'zod';
import { CLIENT_KINDS, connectClient } from './mcp-client.ts';

const [kind, target = '', tool = '', args = ''] = process.argv.slice(2);
const targetSchema = z.union([
  z.object({ url: z.string(), token: z.string() }),
  z.object({
    command: z.string(),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()),
  }),
]);
const client = await connectClient(
  z.enum(CLIENT_KINDS).parse(kind),
  targetSchema.parse(JSON.parse(target)),
);
const argsSchema = z.record(z.string(), z.unknown());
await client.callTool(tool, argsSchema.parse(JSON.parse(args)));
process.stdout.write('answered\n');
