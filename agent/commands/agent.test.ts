import { describe, expect, it } from 'vitest';
import { VERSION } from '../../protocol/version.ts';
import { LiveSettings } from '../live-settings.ts';
import { agentHandlers } from './agent.ts';

const context = { signal: new AbortController().signal };

describe('agent.ping', () => {
  it('tells the version, and who the agent is once it knows', async () => {
    const settings = new LiveSettings();
    const ping = agentHandlers(settings)['agent.ping'];
    expect(await ping({}, context)).toEqual({ status: 'ok', version: VERSION, agent_id: null });
    settings.welcome('agent-1', settings.config);
    expect(await ping({}, context)).toHaveProperty('agent_id', 'agent-1');
  });
});

describe('config.update', () => {
  it('changes what is given, leaves the rest, and tells the listeners', async () => {
    const settings = new LiveSettings();
    let updates = 0;
    const unsubscribe = settings.onUpdate(() => {
      updates += 1;
    });
    const update = agentHandlers(settings)['config.update'];
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
