import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readAgentState, writeAgentState } from './support/agent-state.ts';
import { FakeAgent } from './support/fake-agent.ts';
import { FaultProxy } from './support/fault-proxy.ts';
import { eventually } from './support/hub.ts';
import { type InstalledAgent, installAgent, socketUrl } from './support/installed-agent.ts';
import type { TestClient } from './support/mcp-client.ts';
import { type Program, Started } from './support/processes.ts';
import { connect, startServer, type TomoServer } from './support/tomo.ts';

const SERVER_ID = 'web-1';
const EXEC = { server_id: SERVER_ID, method: 'system.exec', params: { command: 'true' } };

let started: Started;
let server: TomoServer;
let client: TestClient;
let installed: InstalledAgent;
let agent: Program;

beforeEach(async () => {
  started = new Started();
  server = await startServer(started);
  client = await connect(started, 'v2-auto', server.http);
  installed = await installAgent(started, server, client, SERVER_ID);
  agent = await installed.start();
});
afterEach(async () => {
  await started[Symbol.asyncDispose]();
});

async function call(tool: string, args: object): Promise<unknown> {
  const { structuredContent } = await client.callTool(tool, { ...args });
  return structuredContent;
}

const statusSchema = z.looseObject({ token: z.looseObject({ rotation: z.string() }) });

async function status(): Promise<z.output<typeof statusSchema>> {
  return statusSchema.parse(await call('get_agent_status', { server_id: SERVER_ID }));
}

async function restart(env: Record<string, string> = {}): Promise<void> {
  await agent.stop('SIGKILL');
  agent = await installed.start(env);
}

/** Kills the agent; the hub knows it then. */
async function end(): Promise<void> {
  await agent.stop('SIGKILL');
  await eventually(async () => expect(await status()).toMatchObject({ status: 'disconnected' }));
}

/** The hub's answer to a token from this machine's address. */
async function helloWith(token: string): Promise<unknown> {
  const socket = await FakeAgent.dial(socketUrl(server));
  return await socket.hello({ type: 'authenticate', token, version: '1' });
}

describe('rotate_agent_token', () => {
  it('gives an agent a new token, whose first use ends the older one', async () => {
    const before = readAgentState(installed.dataDir);
    expect(await call('rotate_agent_token', { server_id: SERVER_ID })).toMatchObject({
      agent_id: installed.agentId,
      status: 'stored',
    });
    expect(await status()).toMatchObject({ status: 'connected', token: { rotation: 'stored' } });
    const between = readAgentState(installed.dataDir);
    expect(between).toMatchObject({ previous_token: before.token });
    expect(between.token).not.toBe(before.token);
    await restart();
    expect(await status()).toMatchObject({ status: 'connected', token: { rotation: 'none' } });
    await eventually(() => {
      expect(readAgentState(installed.dataDir)).not.toHaveProperty('previous_token');
    });
    expect(await helloWith(before.token)).toMatchObject({ code: 'TOKEN_UNKNOWN' });
    expect(await call('send_agent_command', EXEC)).toMatchObject({ status: 'succeeded' });
  });

  it('leaves an agent that lost the new token with the older one', async () => {
    const before = readAgentState(installed.dataDir);
    await call('rotate_agent_token', { server_id: SERVER_ID });
    await agent.stop('SIGKILL');
    // As if the machine had been set back to a moment before.
    writeAgentState(installed.dataDir, before);
    agent = await installed.start();
    expect(await call('send_agent_command', EXEC)).toMatchObject({ status: 'succeeded' });
    await call('rotate_agent_token', { server_id: SERVER_ID });
    await restart();
    expect(await status()).toMatchObject({ token: { rotation: 'none' } });
  });

  it('ends with revoke_agent, which reaches the agent by either token', async () => {
    const before = readAgentState(installed.dataDir);
    await call('rotate_agent_token', { server_id: SERVER_ID });
    const { token } = readAgentState(installed.dataDir);
    await agent.stop('SIGKILL');
    await call('revoke_agent', { server_id: SERVER_ID });
    for (const each of [before.token, token]) {
      expect(await helloWith(each)).toMatchObject({ code: 'AGENT_REVOKED' });
    }
    const late = started.agent({ ...installed.environment });
    await late.line('was revoked');
    // Its code was spent, its token is gone: there is nothing left to come with.
    const again = started.agent({ ...installed.environment });
    await again.line('CODE_USED');
  });

  it('cannot be sent as a command, and no agent gets a token that its hub does not know', async () => {
    const command = { method: 'agent.rotate_token', params: { token: 'x'.repeat(43) } };
    expect(await call('send_agent_command', { server_id: SERVER_ID, ...command })).toMatchObject({
      status: 'failed',
      error: { name: 'ACCESS_DENIED', message: expect.stringContaining('rotate_agent_token') },
    });
    expect(readAgentState(installed.dataDir)).not.toHaveProperty('previous_token');
  });
});

describe('a lowered ceiling', () => {
  const DENIED = { status: 'failed', error: { name: 'ACCESS_DENIED' } };

  async function lower(): Promise<void> {
    const change = { server_ids: [SERVER_ID], settings: { access: 'read' } };
    expect(await call('configure_agents', change)).toMatchObject({
      agents: [{ access: 'read', applied: true }],
    });
  }

  it('holds at once, after a restart, and whatever the agent is started with', async () => {
    expect(await call('send_agent_command', EXEC)).toMatchObject({ status: 'succeeded' });
    await lower();
    expect(await call('send_agent_command', EXEC)).toMatchObject(DENIED);
    await restart({ ACCESS: 'admin' });
    expect(await call('send_agent_command', EXEC)).toMatchObject(DENIED);
    expect(readAgentState(installed.dataDir)).toMatchObject({ access: 'read' });
  });

  it.each([
    ['configure_agents', { server_ids: [SERVER_ID], settings: { access: 'admin' } }],
    [
      'send_agent_command',
      { server_id: SERVER_ID, method: 'config.update', params: { access: 'admin' } },
    ],
  ])('is not raised by %s', async (tool, args) => {
    await lower();
    const answer = await call(tool, args);
    expect(answer).toMatchObject({ error: { name: 'ACCESS_DENIED' } });
    expect(await call('send_agent_command', EXEC)).toMatchObject(DENIED);
  });

  it('is held by the agent itself when its hub forgets it', async () => {
    await lower();
    await end();
    // A code that raises the hub's own ceiling, but is never used by this process.
    await call('install_agent', { server_id: SERVER_ID, access: 'admin' });
    agent = await installed.start();
    expect(await call('send_agent_command', EXEC)).toMatchObject(DENIED);
  });

  it('ends with a new registration', async () => {
    await lower();
    await end();
    const fresh = await call('install_agent', { server_id: SERVER_ID, access: 'admin' });
    const { registration_code } = z.looseObject({ registration_code: z.string() }).parse(fresh);
    agent = await installed.start({ REGISTER_CODE: registration_code });
    expect(await call('send_agent_command', EXEC)).toMatchObject({ status: 'succeeded' });
  });
});

describe('configure_agents server_url', () => {
  const to = (url: string) => ({ server_ids: [SERVER_ID], settings: { server_url: url } });

  it('moves an agent, which stays there after a restart with its old environment', async () => {
    const proxy = await FaultProxy.start(server.port);
    started.defer(() => proxy[Symbol.asyncDispose]());
    const seen = agent.lineCount();
    expect(await call('configure_agents', to(proxy.url))).toMatchObject({
      agents: [{ applied: true, server_url: `${proxy.url.replace('http', 'ws')}/ws/agent` }],
    });
    await agent.line('moved to another address', seen);
    expect(await call('send_agent_command', EXEC)).toMatchObject({ status: 'succeeded' });
    await restart();
    const again = agent.lineCount();
    // Cut there, it loses its connection: it came by that address.
    proxy.cut();
    await agent.line('disconnected', again);
    await agent.line('"connected"', again);
    expect(await call('send_agent_command', EXEC)).toMatchObject({ status: 'succeeded' });
  });

  it('leaves an agent where it is when nothing answers there, and says so', async () => {
    const nowhere = await FaultProxy.start(server.port);
    await nowhere[Symbol.asyncDispose]();
    await call('configure_agents', to(nowhere.url));
    await agent.line('not moved');
    expect(await call('send_agent_command', EXEC)).toMatchObject({ status: 'succeeded' });
    expect(await status()).toMatchObject({ status: 'connected' });
  });
});
