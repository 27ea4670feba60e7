import { type McpRequestContext, McpServer } from '@modelcontextprotocol/server';
import { VERSION } from '../../protocol/version.ts';
import { ALL_TOOLS } from './all-tools.ts';
import type { ToolDeps } from './define-tool.ts';
import { INSTRUCTIONS } from './instructions.ts';
import type { ResourceFeed } from './resource-feed.ts';
import { acceptSubscriptions } from './resource-subscriptions.ts';
import { registerAgentResources } from './resources/agent-resources.ts';

export interface ServerDeps extends ToolDeps {
  readonly feed: ResourceFeed;
}

/** A new MCP server over the fleet: one per connection, or per request where the protocol has none. */
export function createMcpServer(deps: ServerDeps, era: McpRequestContext['era']): McpServer {
  const server = new McpServer(
    { name: 'tomo', title: 'Tomo', version: VERSION },
    { instructions: INSTRUCTIONS, capabilities: { tools: {}, resources: { subscribe: true } } },
  );
  for (const tool of ALL_TOOLS) tool.register(server, deps);
  registerAgentResources(server, deps);
  if (era === 'legacy') acceptSubscriptions(server, deps.feed);
  return server;
}
