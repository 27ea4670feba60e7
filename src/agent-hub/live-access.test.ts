import { describe, expect, it, vi } from 'vitest';
import { answerPing, PRESENT, parkCandidate } from '../../test/support/candidate.ts';
import { startHub, type TestHub } from '../../test/support/hub.ts';

const execute = (test: TestHub, agentId: string) =>
  test.call(agentId, { method: 'system.exec', params: { command: 'true' } });

const DENIED = { name: 'ACCESS_DENIED' };

describe('a ceiling that is lowered', () => {
  it('holds at once for connected processes of the agent, and for no other agent', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const other = await test.join('web-2', PRESENT);
    await parkCandidate(test, agentId);
    await test.database.db.agents.lowerAccess(agentId, 'read', Date.now());
    await test.hub.setAccess(agentId, 'read');
    await expect(execute(test, agentId)).rejects.toMatchObject(DENIED);
    expect(test.hub.connected(agentId)?.access).toBe('read');
    expect(test.hub.connected(other.agentId)?.access).toBe('admin');
  });

  it('holds for an agent whose row was read before it was lowered', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', PRESENT);
    const { agents } = test.database.db;
    const authenticated = agents.authenticated.bind(agents);
    let lowered: Promise<void> | undefined;
    // In the midst of the admission.
    vi.spyOn(agents, 'authenticated').mockImplementation(async (authentication) => {
      await agents.lowerAccess(agentId, 'operate', Date.now());
      lowered = test.hub.setAccess(agentId, 'operate');
      return authenticated(authentication);
    });
    const { welcome } = await test.rejoin(token, PRESENT);
    expect(welcome).toMatchObject({ access: 'admin' });
    await lowered;
    expect(test.hub.connected(agentId)?.access).toBe('operate');
    await expect(execute(test, agentId)).rejects.toMatchObject(DENIED);
  });

  it('never grants more than the agent itself does', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', { ...PRESENT, access: 'read' });
    await test.hub.setAccess(agentId, 'operate');
    expect(test.hub.connected(agentId)?.access).toBe('read');
    await test.hub.setAccess('absent', 'read');
  });
});

describe('a ceiling that a replacement was installed with', () => {
  const hello = { capabilities: [...PRESENT.capabilities, 'config.update'] };
  const ticket = (test: TestHub, agentId: string) => parkCandidate(test, agentId, hello, 'admin');

  it('is the candidate’s from its welcome on, and the agent’s with its promotion', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1', PRESENT, { access: 'read' });
    const { agent, welcome } = await ticket(test, agentId);
    expect(welcome).toMatchObject({ access: 'admin' });
    // What was there before it is not raised by its coming.
    await test.rejoin(token, PRESENT);
    await expect(execute(test, agentId)).rejects.toMatchObject(DENIED);
    expect(await test.row(agentId)).toMatchObject({ access: 'read', candidateAccess: 'admin' });
    await answerPing(agent);
    await agent.nextWhere(({ method }) => method === '$/promoted');
    expect(test.hub.connected(agentId)?.access).toBe('admin');
    expect(await test.row(agentId)).toMatchObject({ access: 'admin', candidateAccess: null });
  });

  it('is lowered with the agent’s, and the candidate is told when it is promoted', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', PRESENT);
    const { agent } = await ticket(test, agentId);
    await test.database.db.agents.lowerAccess(agentId, 'read', Date.now());
    await test.hub.setAccess(agentId, 'read');
    await answerPing(agent);
    expect(await agent.nextWhere(({ method }) => method === 'config.update')).toMatchObject({
      params: { access: 'read' },
    });
    expect(await test.row(agentId)).toMatchObject({ access: 'read' });
  });
});

describe('the welcome', () => {
  it('names the ceiling to agents that name their protocol', async () => {
    const test = await startHub();
    const { welcome, token } = await test.join('web-1', PRESENT, { access: 'operate' });
    expect(welcome).toMatchObject({ access: 'operate' });
    const own = await test.rejoin(token, { ...PRESENT, access: 'read' });
    expect(own.welcome).toMatchObject({ access: 'operate' });
    expect((await test.rejoin(token)).welcome).not.toHaveProperty('access');
  });
});
