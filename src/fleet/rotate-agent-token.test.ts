import { describe, expect, it } from 'vitest';
import { READER, startFleet } from '../../test/support/fleet.ts';

const ABLE = { protocol: 1, capabilities: ['agent.rotate_token'] };

describe('rotate_agent_token', () => {
  it('answers when the agent keeps the new token, which is good from then on', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId, token } = await test.join('web-1', ABLE);
    await perform('configure_agents', { settings: { token_grace_minutes: 5 } });
    const before = Date.now();
    const rotating = perform('rotate_agent_token', { server_id: 'web-1' });
    const { id, method, params } = await agent.request();
    expect(method).toBe('agent.rotate_token');
    const status = async () => (await perform('get_agent_status', { server_id: 'web-1' })).token;
    expect(await status()).toMatchObject({
      rotation: 'offered',
      grace_ends_at: expect.any(String),
    });
    agent.answer(id, { status: 'stored' });
    const result = await rotating;
    expect(result).toMatchObject({ agent_id: agentId, status: 'stored' });
    const graceMs = Date.parse(result.grace_ends_at) - before;
    expect(graceMs).toBeGreaterThanOrEqual(5 * 60_000);
    expect(graceMs).toBeLessThan(6 * 60_000);
    expect((await test.rejoin(token, ABLE)).welcome).toMatchObject({ type: 'authenticated' });
    expect((await test.rejoin(String(params['token']), ABLE)).welcome).toMatchObject({
      type: 'authenticated',
    });
    expect((await test.rejoin(token, ABLE)).welcome).toMatchObject({ code: 'TOKEN_UNKNOWN' });
  });

  it('tells of the rotation in get_agent_status until it is over', async () => {
    const { test, perform } = await startFleet();
    const { agent, token, agentId } = await test.join('web-1', ABLE);
    const rotating = perform('rotate_agent_token', { server_id: 'web-1' });
    const request = await agent.request();
    agent.answer(request.id, { status: 'stored' });
    const { grace_ends_at } = await rotating;
    agent.socket.terminate();
    await agent.closed;
    const status = async () => (await perform('get_agent_status', { server_id: 'web-1' })).token;
    expect(await status()).toEqual({
      issued_at: expect.stringMatching(/Z$/),
      rotation: 'stored',
      grace_ends_at,
    });
    await test.database.db.agents.endGrace(Date.parse(grace_ends_at));
    expect(await status()).toMatchObject({ rotation: 'none', grace_ends_at: null });
    expect((await test.rejoin(token)).welcome).toMatchObject({ code: 'TOKEN_UNKNOWN' });
    expect((await test.row(agentId))?.hasPendingToken).toBe(false);
  });

  it('says of an agent that does not keep the token that the old one is good', async () => {
    const { test, perform } = await startFleet();
    const { agent, token } = await test.join('web-1', ABLE);
    const rotating = perform('rotate_agent_token', { server_id: 'web-1' });
    agent.fail((await agent.request()).id, { code: -32_603, message: 'no room' });
    await expect(rotating).rejects.toMatchObject({
      name: 'INTERNAL_ERROR',
      facts: { server_id: 'web-1' },
    });
    expect((await test.rejoin(token, ABLE)).welcome).toMatchObject({ type: 'authenticated' });
  });

  it('is refused for agents that are away, unknown, revoked or too old, and for readers', async () => {
    const { test, perform } = await startFleet();
    await test.install('away');
    await test.join('old', { protocol: 1, capabilities: ['agent.ping'] });
    await test.join('revoked', ABLE);
    await perform('revoke_agent', { server_id: 'revoked' });
    const refusals = {
      away: 'AGENT_NOT_CONNECTED',
      old: 'METHOD_NOT_FOUND',
      revoked: 'AGENT_REVOKED',
      none: 'UNKNOWN_SERVER',
    };
    for (const [server_id, name] of Object.entries(refusals)) {
      await expect(perform('rotate_agent_token', { server_id })).rejects.toMatchObject({ name });
    }
    await expect(perform('rotate_agent_token', { server_id: 'old' }, READER)).rejects.toMatchObject(
      { name: 'ACCESS_DENIED' },
    );
  });

  it('says so when the database refuses', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1', ABLE);
    test.database.client.exec('PRAGMA query_only = ON');
    await expect(perform('rotate_agent_token', { server_id: 'web-1' })).rejects.toMatchObject({
      name: 'DATABASE_UNAVAILABLE',
    });
  });
});
