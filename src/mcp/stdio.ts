import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { ToolDeps } from './define-tool.ts';
import { createMcpServer } from './server-factory.ts';

/** Serves MCP over this process's standard input and output, in the era that the client opens with. */
export function serveMcpStdio(deps: ToolDeps): AsyncDisposable {
  const handle = serveStdio(() => createMcpServer(deps), {
    onerror: (error) => deps.log.debug({ err: error }, 'MCP connection fault'),
  });
  return { [Symbol.asyncDispose]: () => handle.close() };
}
