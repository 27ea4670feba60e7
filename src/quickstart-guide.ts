import { fileURLToPath } from 'node:url';

export interface GuideFacts {
  /** Base URL of this server. */
  readonly url: string;
  /** PEM file of a certificate that clients do not trust by themselves. */
  readonly caFile: string | undefined;
  readonly token: string;
  /** Set if it is not the default one. */
  readonly dataDir: string | undefined;
  readonly port: number;
}

/** What the quickstart prints: lines that work when pasted while it runs. */
export function quickstartGuide(facts: GuideFacts): string {
  const mcpUrl = `${facts.url}/mcp`;
  const header = `Authorization: Bearer ${facts.token}`;
  const trust = facts.caFile === undefined ? '' : `NODE_EXTRA_CA_CERTS="${facts.caFile}" `;
  return `
Tomo is running, with an agent for this machine: server_id "local".

MCP endpoint    ${mcpUrl}
Bearer token    ${facts.token}

Claude Desktop  add to claude_desktop_config.json:
${JSON.stringify({ mcpServers: { tomo: stdioCommand(facts) } }, null, 2)}

Claude Code     ${trust}claude mcp add --transport http tomo ${mcpUrl} --header "${header}"

MCP inspector   ${trust}npm exec --prefix ${quoted(checkout())} -- mcp-inspector --cli ${mcpUrl} --transport http --header "${header}" --method tools/list

${trust === '' ? '' : `Clients over HTTP trust its certificate when started with ${trust.trim()}\n\n`}Then ask: "What runs on my server local?"   Ctrl-C stops it.
`;
}

function stdioCommand(facts: GuideFacts): { command: string; args: string[] } {
  const args = [`${checkout()}bin/tomo.js`];
  if (facts.dataDir !== undefined) args.push('--data-dir', facts.dataDir);
  if (facts.port !== 8000) args.push('--port', String(facts.port));
  return { command: process.execPath, args };
}

function checkout(): string {
  return fileURLToPath(new URL('..', import.meta.url));
}

function quoted(path: string): string {
  return `"${path.replace(/\/$/, '')}"`;
}
