import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { VERSION } from '../../protocol/version.ts';
import { commandContext } from '../../test/support/command-context.ts';
import { LiveSettings } from '../live-settings.ts';
import { OwnContainer } from '../own-container/own-container.ts';
import { type AgentContext, agentHandlers } from './agent.ts';

const context = commandContext();

function handlers(options: Partial<AgentContext> = {}) {
  const engine = new DockerEngine('unix:///no/such/socket');
  return agentHandlers({
    settings: new LiveSettings(),
    engine,
    own: new OwnContainer({ engine, dataDir: '/data', isContained: false }),
    rotateToken: async () => undefined,
    lowerAccess: async () => undefined,
    prepareMove: () => undefined,
    dockerHost: undefined,
    hasParent: false,
    stop: () => undefined,
    onRestartFailure: () => undefined,
    ...options,
  });
}

describe('agent.ping', () => {
  it('tells the version, and who the agent is once it knows', async () => {
    const settings = new LiveSettings();
    const ping = handlers({ settings })['agent.ping'];
    expect(await ping({}, context)).toEqual({ status: 'ok', version: VERSION, agent_id: null });
    settings.welcome('agent-1', settings.config);
    expect(await ping({}, context)).toHaveProperty('agent_id', 'agent-1');
  });
});

describe('agent.restart', () => {
  it('ends a child of another program, but not before its answer is out', async () => {
    let stops = 0;
    const stop = () => {
      stops += 1;
    };
    const acts: (() => void)[] = [];
    const restart = handlers({ hasParent: true, stop })['agent.restart'];
    const answer = await restart({}, { ...context, afterAnswer: (act) => acts.push(act) });
    expect(answer).toEqual({ status: 'restarting' });
    expect(stops).toBe(0);
    for (const act of acts) act();
    expect(stops).toBe(1);
  });

  it('is refused where nothing would start the agent again', async () => {
    const refused = handlers()['agent.restart']({}, context);
    await expect(refused).rejects.toMatchObject({ name: 'NOT_CONTAINERISED' });
  });
});

describe('agent.uninstall', () => {
  it('is refused outside a container', async () => {
    const refused = handlers()['agent.uninstall']({}, context);
    await expect(refused).rejects.toMatchObject({ name: 'NOT_CONTAINERISED' });
  });
});

describe('config.update', () => {
  it('changes what is given, leaves the rest, and tells the listeners', async () => {
    const settings = new LiveSettings();
    let updates = 0;
    const unsubscribe = settings.onUpdate(() => {
      updates += 1;
    });
    const update = handlers({ settings })['config.update'];
    const result = await update({ metrics_interval: 10, health_interval: undefined }, context);
    const config = { metrics_interval: 10, health_interval: 60, reconnect_timeout: 30 };
    expect(result).toEqual({ status: 'ok', config });
    expect(settings.config).toEqual(config);

    unsubscribe();
    await update({ health_interval: 20 }, context);
    expect(settings.config.health_interval).toBe(20);
    expect(updates).toBe(1);
  });
});
