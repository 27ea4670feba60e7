import { McpServer } from '@modelcontextprotocol/server';
import { VERSION } from '../../protocol/version.ts';
import { ALL_TOOLS } from './all-tools.ts';
import type { ToolDeps } from './define-tool.ts';
import { INSTRUCTIONS } from './instructions.ts';

/** A new MCP server over the fleet: one per connection, or per request where the protocol has none. */
export function createMcpServer(deps: ToolDeps): McpServer {
  const server = new McpServer(
    { name: 'tomo', title: 'Tomo', version: VERSION },
    { instructions: INSTRUCTIONS, capabilities: { tools: {} } },
  );
  for (const tool of ALL_TOOLS) tool.register(server, deps);
  return server;
}
