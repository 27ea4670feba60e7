import { describe, expect, it } from 'vitest';
import { answerPing, parkCandidate } from '../../test/support/candidate.ts';
import { type FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';

const HERE = 'wss://here.example/ws/agent';
const THERE = 'wss://there.example/ws/agent';
const FINGERPRINT = 'ab'.repeat(32);

const from = (server_url?: string) => ({
  protocol: 1,
  capabilities: ['agent.ping', 'config.update'],
  ...(server_url === undefined ? {} : { server_url }),
});

const setFleet = (test: TestHub, values: Record<string, string>) =>
  test.database.db.settings.set(values, Date.now());

/** Asserts that the hub's next call is the test's own: nothing was sent before. */
async function expectSilence(test: TestHub, agentId: string, agent: FakeAgent): Promise<void> {
  const ping = test.call(agentId, { id: 'own' });
  expect(await agent.request()).toMatchObject({ id: 'own' });
  agent.answer('own', PONG);
  await ping;
}

describe('an agent that dialled another address than it should', () => {
  it('is told the fleet’s address once for each connection', async () => {
    const test = await startHub();
    await setFleet(test, { agent_server_url: THERE, agent_server_fingerprint: FINGERPRINT });
    const { agent, agentId, token } = await test.join('web-1', from(HERE));
    const told = { method: 'config.update' };
    const params = { server_url: THERE, server_fingerprint: FINGERPRINT };
    const first = await agent.request();
    expect(first).toMatchObject({ ...told, params });
    agent.answer(first.id, { status: 'moving' });
    await expectSilence(test, agentId, agent);
    const again = await test.rejoin(token, from(HERE));
    expect(await again.agent.request()).toMatchObject({ ...told, params });
  });

  it('is told its own address, and no fingerprint but that address’s own', async () => {
    const test = await startHub();
    await setFleet(test, { agent_server_url: HERE, agent_server_fingerprint: FINGERPRINT });
    const { agentId, token } = await test.join('web-1', from(HERE));
    await test.database.db.agents.setConfig(agentId, { server_url: THERE }, Date.now());
    const { agent } = await test.rejoin(token, from(HERE));
    const { params } = await agent.request();
    expect(params).toEqual({ server_url: THERE, server_fingerprint: null });
  });

  it('is told after its promotion if it came as a candidate', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', from(HERE));
    await setFleet(test, { agent_server_url: THERE });
    const { agent } = await parkCandidate(test, agentId, from(HERE));
    await answerPing(agent);
    expect(await agent.next()).toMatchObject({ method: '$/promoted' });
    expect(await agent.request()).toMatchObject({ params: { server_url: THERE } });
  });

  it('stays connected if it refuses, which is logged', async () => {
    const test = await startHub();
    await setFleet(test, { agent_server_url: THERE });
    const { agent, agentId } = await test.join('web-1', from(HERE));
    agent.fail((await agent.request()).id, { code: 1006, message: 'no' });
    await eventually(() =>
      expect(test.logged).toContainEqual(
        expect.objectContaining({ level: 40, server: 'web-1', server_url: THERE }),
      ),
    );
    await expectSilence(test, agentId, agent);
  });

  it('stays connected if the database fails after its promotion, which is logged', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', from(HERE));
    const { agent } = await parkCandidate(test, agentId, from(HERE));
    test.database.client.exec('ALTER TABLE settings RENAME TO settings_away');
    await answerPing(agent);
    expect(await agent.next()).toMatchObject({ method: '$/promoted' });
    const isLogged = ({ level, err }: Record<string, unknown>) => level === 50 && err !== undefined;
    await eventually(() => expect(test.logged.some(isLogged)).toBe(true));
    await expectSilence(test, agentId, agent);
    test.database.client.exec('ALTER TABLE settings_away RENAME TO settings');
  });
});

describe('nothing is told to an agent', () => {
  it.each([
    ['that dialled where it should', { agent_server_url: HERE }, from(HERE)],
    [
      'that wrote the address otherwise',
      { agent_server_url: HERE },
      from('WSS://here.example:443/ws/agent'),
    ],
    ['that does not say where it dialled', { agent_server_url: THERE }, from()],
    ['if the fleet is to stay where it is', {}, from(HERE)],
    ['if what is stored is no address', { agent_server_url: 'http://x' }, from(HERE)],
  ])('%s', async (_title, settings, hello) => {
    const test = await startHub();
    await setFleet(test, settings);
    const { agent, agentId } = await test.join('web-1', hello);
    await expectSilence(test, agentId, agent);
  });
});
