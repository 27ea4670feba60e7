import { afterEach, describe, expect, it, vi } from 'vitest';
import { READER, startFleet } from '../../test/support/fleet.ts';

const ARGS = { server_id: 'web-1' };
const MODERN = { protocol: 1, capabilities: ['agent.ping', 'agent.uninstall'] };
const UNINSTALLING = { status: 'uninstalling', container: 'tomo-agent', volume: 'tomo-agent-data' };
/** The commands that remove the container and the volume of an agent by hand. */
const BY_HAND = expect.arrayContaining([
  expect.stringContaining('docker rm -f tomo-agent'),
  expect.stringContaining('docker volume rm tomo-agent-data'),
]);

afterEach(() => void vi.restoreAllMocks());

describe('uninstall_agent of a connected agent', () => {
  it('lets the agent remove itself, and revokes it when its socket has closed', async () => {
    const { test, perform } = await startFleet();
    // Below the ceiling of its own: removing an agent is the hub's business.
    const { agent, agentId, token } = await test.join('web-1', { ...MODERN, access: 'read' });
    const uninstalled = perform('uninstall_agent', ARGS);
    const { id, method, params } = await agent.request();
    expect({ method, params }).toEqual({ method: 'agent.uninstall', params: {} });
    agent.answer(id, UNINSTALLING);
    agent.socket.close(1001);
    expect((await agent.closed).code).toBe(1001);
    expect(await uninstalled).toEqual({
      success: true,
      agent_id: agentId,
      was_connected: true,
      removed: ['container tomo-agent', 'volume tomo-agent-data'],
      left_behind: [],
      forgotten: false,
    });
    expect((await test.rejoin(token)).welcome).toMatchObject({ code: 'AGENT_REVOKED' });
    expect(await perform('get_agent_status', ARGS)).toMatchObject({ status: 'revoked' });
    expect(await test.database.db.commands.recent({ limit: 1 })).toMatchObject([
      { method: 'agent.uninstall', status: 'succeeded' },
    ]);
  });

  it('names no volume where there is none', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', MODERN);
    const uninstalled = perform('uninstall_agent', ARGS);
    agent.answer((await agent.request()).id, { ...UNINSTALLING, volume: null });
    agent.socket.close();
    expect(await uninstalled).toMatchObject({ removed: ['container tomo-agent'] });
  });

  it('revokes it and says what may be left when its helper does not get on', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', MODERN);
    const late = new AbortController();
    vi.spyOn(AbortSignal, 'timeout').mockReturnValue(late.signal);
    const uninstalled = perform('uninstall_agent', ARGS);
    agent.answer((await agent.request()).id, UNINSTALLING);
    late.abort();
    expect(await uninstalled).toMatchObject({ removed: [], left_behind: BY_HAND });
    expect((await agent.closed).code).toBe(4002);
  });

  it('revokes one that runs outside a container, which is to be removed by hand', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', MODERN);
    const uninstalled = perform('uninstall_agent', ARGS);
    agent.fail((await agent.request()).id, { code: 1208, message: 'not in a container' });
    expect(await uninstalled).toMatchObject({
      was_connected: true,
      removed: [],
      left_behind: [expect.stringContaining('DATA_DIR')],
    });
    expect((await agent.closed).code).toBe(4002);
  });

  it('revokes one that does not have the method, with the commands that remove it', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1, capabilities: ['agent.ping'] });
    expect(await perform('uninstall_agent', ARGS)).toMatchObject({
      was_connected: true,
      removed: [],
      left_behind: BY_HAND,
    });
    expect((await agent.closed).code).toBe(4002);
  });

  it('leaves the token valid when the caller gives up before the agent answers', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId } = await test.join('web-1', MODERN);
    const giveUp = new AbortController();
    const caller = { actor: 'tester', access: 'admin', signal: giveUp.signal } as const;
    const cancelled = expect(perform('uninstall_agent', ARGS, caller)).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
      code: 1004,
    });
    await agent.request();
    giveUp.abort();
    await cancelled;
    expect(test.hub.connected(agentId)).toBeDefined();
  });

  it('is for callers with admin access only', async () => {
    const { test, perform } = await startFleet();
    const { agentId } = await test.join('web-1', MODERN);
    await expect(perform('uninstall_agent', ARGS, READER)).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
    });
    expect(test.hub.connected(agentId)).toBeDefined();
  });
});

describe('uninstall_agent of an agent that is away', () => {
  it('revokes it and says what is on its server', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId, token } = await test.join('web-1', MODERN);
    agent.socket.close();
    await test.hub.waitForDeparture(agentId, AbortSignal.timeout(20_000));
    expect(await perform('uninstall_agent', ARGS)).toMatchObject({
      success: true,
      was_connected: false,
      removed: [],
      left_behind: BY_HAND,
    });
    expect((await test.rejoin(token)).welcome).toMatchObject({ code: 'AGENT_REVOKED' });
  });

  it('voids the code of one that never came', async () => {
    const { test, perform } = await startFleet();
    const { registration_code: code } = await perform('install_agent', ARGS);
    expect(await perform('uninstall_agent', ARGS)).toMatchObject({ was_connected: false });
    const answer = await (await test.dial()).hello({ type: 'register', code, version: '1' });
    expect(answer).toMatchObject({ code: 'CODE_USED' });
  });

  it('answers UNKNOWN_SERVER for a server that there is not', async () => {
    const { perform } = await startFleet();
    await expect(perform('uninstall_agent', ARGS)).rejects.toMatchObject({ code: 1000 });
  });
});

describe('uninstall_agent with forget', () => {
  it('removes the server too, but keeps the audit', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId } = await test.join('web-1', MODERN);
    const uninstalled = perform('uninstall_agent', { ...ARGS, forget: true });
    agent.answer((await agent.request()).id, UNINSTALLING);
    agent.socket.close();
    expect(await uninstalled).toMatchObject({ agent_id: agentId, forgotten: true });
    await expect(perform('get_agent_status', ARGS)).rejects.toMatchObject({
      name: 'UNKNOWN_SERVER',
    });
    expect(await perform('list_agents', {})).toEqual({ agents: [] });
    await test.hub.telemetry.flush();
    expect(await test.database.db.events.recent(agentId, 10)).toEqual([]);
    const rows = await test.database.db.commands.recent({ serverIds: ['web-1'], limit: 5 });
    const methods = rows.map(({ method }) => method).toSorted();
    expect(methods).toEqual(['agent.uninstall', 'uninstall_agent']);
    expect((await perform('install_agent', ARGS)).agent_id).not.toBe(agentId);
  });
});
