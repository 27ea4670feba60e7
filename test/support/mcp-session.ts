/** A session as 2025-era clients have it, whose every request a test can shape. */
export interface RawSession {
  send(
    method: string,
    params: object,
    headers?: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<Response>;
  /** The stream on which the server sends by itself. */
  stream(): Promise<Response>;
}

const VERSION = '2025-06-18';
const ACCEPT = 'application/json, text/event-stream';

/** The server's answer to a request for a session. */
export function initialize(url: string, token: string): Promise<Response> {
  const clientInfo = { name: 'raw', version: '1' };
  const params = { protocolVersion: VERSION, capabilities: {}, clientInfo };
  return fetch(`${url}/mcp`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Authorization: `Bearer ${token}`,
      Accept: ACCEPT,
      'MCP-Protocol-Version': VERSION,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
  });
}

export async function rawSession(url: string, token: string): Promise<RawSession> {
  const common = {
    Authorization: `Bearer ${token}`,
    Accept: ACCEPT,
    'MCP-Protocol-Version': VERSION,
  };
  const post = (
    body: object,
    headers: Record<string, string>,
    signal: AbortSignal | null,
  ): Promise<Response> =>
    fetch(`${url}/mcp`, {
      signal,
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...common, ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    });
  const opened = await initialize(url, token);
  await opened.text();
  const session = { 'Mcp-Session-Id': opened.headers.get('mcp-session-id') ?? '' };
  let id = 0;
  return {
    send: (method, body, headers = {}, signal) => {
      id += 1;
      return post({ id, method, params: body }, { ...session, ...headers }, signal ?? null);
    },
    stream: () => fetch(`${url}/mcp`, { headers: { ...common, ...session } }),
  };
}
