import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { ToolDeps } from './define-tool.ts';
import { ResourceFeed } from './resource-feed.ts';
import { tellOfAll } from './resource-subscriptions.ts';
import { createMcpServer } from './server-factory.ts';

/** Serves MCP over this process's standard input and output, in the era that the client opens with. */
export function serveMcpStdio(deps: ToolDeps): AsyncDisposable {
  const feed = new ResourceFeed(deps.fleet, deps.log);
  const handle = serveStdio(
    ({ era }) => {
      const server = createMcpServer({ ...deps, feed }, era);
      if (era === 'modern') tellOfAll(server, feed);
      return server;
    },
    { onerror: (error) => deps.log.debug({ err: error }, 'MCP connection fault') },
  );
  return {
    [Symbol.asyncDispose]: async () => {
      feed[Symbol.dispose]();
      await handle.close();
    },
  };
}
