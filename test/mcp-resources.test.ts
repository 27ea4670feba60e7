import {
  Client as ClientV2,
  StreamableHTTPClientTransport as HttpV2,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport as TransportV1 } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from './support/hub.ts';
import { Started } from './support/processes.ts';
import { connect, startServer, TEST_TOKEN, type TomoServer } from './support/tomo.ts';

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

const INFO = { name: 'tomo-test', version: '1.0.0' };
const HEADERS = { requestInit: { headers: { Authorization: `Bearer ${TEST_TOKEN}` } } };
const AGENTS = 'tomo://agents';
const WEB = 'tomo://agents/web-1';

interface Watcher {
  readonly updates: string[];
  readonly list: () => Promise<string[]>;
  readonly read: (uri: string) => Promise<string>;
}

type Kind = 'http' | 'stdio';

function stdioOf({ stdio }: TomoServer) {
  if (!('command' in stdio)) throw new Error('no command');
  const { PATH = '', HOME = '' } = process.env;
  return { command: stdio.command, args: stdio.args, env: { PATH, HOME, ...stdio.env } };
}

/** A 2025-era client that subscribes to one agent and to the list. */
async function watchV1(server: TomoServer, kind: Kind): Promise<Watcher> {
  const client = new ClientV1(INFO);
  const transport =
    kind === 'http'
      ? new HttpV1(new URL(`${server.url}/mcp`), HEADERS)
      : new StdioV1({ ...stdioOf(server), stderr: 'ignore' });
  await client.connect(transport as TransportV1);
  started.defer(() => client.close());
  const updates: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    updates.push(params.uri);
  });
  for (const uri of [AGENTS, WEB]) await client.subscribeResource({ uri });
  await expect(client.subscribeResource({ uri: 'tomo://other' })).rejects.toMatchObject({
    code: -32_602,
  });
  return {
    updates,
    list: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    read: async (uri) => textOf((await client.readResource({ uri })).contents),
  };
}

/** A 2026 client that listens for the same. */
async function watchV2(server: TomoServer, kind: Kind): Promise<Watcher> {
  const updates: string[] = [];
  const client = new ClientV2(INFO, { versionNegotiation: { mode: 'auto' } });
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    updates.push(params.uri);
  });
  const transport =
    kind === 'http'
      ? new HttpV2(new URL(`${server.url}/mcp`), HEADERS)
      : new StdioV2({ ...stdioOf(server), stderr: 'ignore' });
  await client.connect(transport);
  started.defer(() => client.close());
  await client.listen({ resourceSubscriptions: [AGENTS, WEB] });
  return {
    updates,
    list: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    read: async (uri) => textOf((await client.readResource({ uri })).contents),
  };
}

function textOf([content]: readonly object[]): string {
  return content !== undefined && 'text' in content ? String(content.text) : '';
}

describe.each([
  ['a 2025 client over HTTP', 'http', watchV1],
  ['a 2025 client over stdio', 'stdio', watchV1],
  ['a 2026 client over HTTP', 'http', watchV2],
  ['a 2026 client over stdio', 'stdio', watchV2],
] as const)('resources for %s', (_name, kind, watch) => {
  it('are listed and read, and tell of changes wherever the agents are', async () => {
    const server = await startServer(started);
    const tools = await connect(started, 'v1', server.http);
    await tools.callTool('install_agent', { server_id: 'web-1' });
    const { updates, list, read } = await watch(server, kind);
    expect(await list()).toEqual(expect.arrayContaining([AGENTS, WEB]));
    expect(JSON.parse(await read(AGENTS))).toMatchObject({
      agents: [{ server_id: 'web-1', status: 'pending' }],
    });
    expect(JSON.parse(await read(WEB))).toMatchObject({ agent: { status: 'pending' }, events: [] });
    await expect(read('tomo://agents/web-2')).rejects.toThrow('web-2');
    await tools.callTool('revoke_agent', { server_id: 'web-1' });
    await eventually(() => expect(updates).toContain(WEB));
    expect(updates).toContain(AGENTS);
    expect(JSON.parse(await read(WEB))).toMatchObject({ agent: { status: 'revoked' } });
  });
});

describe('a session that is closed while resources change', () => {
  it('does not end the server', async () => {
    const server = await startServer(started);
    const tools = await connect(started, 'v1', server.http);
    await tools.callTool('install_agent', { server_id: 'web-1' });
    const watching = new Started();
    const outer = started;
    started = watching;
    await watchV1(server, 'http');
    await watchV2(server, 'http');
    started = outer;
    await watching[Symbol.asyncDispose]();
    await tools.callTool('revoke_agent', { server_id: 'web-1' });
    await tools.callTool('install_agent', { server_id: 'web-2' });
    const { structuredContent } = await tools.callTool('list_agents', {});
    expect(structuredContent).toMatchObject({
      agents: [{ server_id: 'web-1' }, { server_id: 'web-2' }],
    });
  });
});
