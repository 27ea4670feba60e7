import { expect, it } from 'vitest';
import { agentConfigSchema } from '../../protocol/handshake.ts';
import { CONFIG_SETTING_KEYS, effectiveAddress, effectiveConfig } from './agent-config.ts';

const DEFAULTS = { metrics_interval: 30, health_interval: 60, reconnect_timeout: 30 };

it('is the first deployment’s defaults where nothing is set', () => {
  expect(effectiveConfig({}, null)).toEqual(DEFAULTS);
});

it('is the fleet’s settings with the agent’s own on top', () => {
  const settings = { agent_metrics_interval: '10', agent_health_interval: '120', other: 'x' };
  expect(effectiveConfig(settings, { health_interval: 15, unknown: true })).toEqual({
    metrics_interval: 10,
    health_interval: 15,
    reconnect_timeout: 30,
  });
});

it.each([
  ['no number', 'soon'],
  ['empty', ''],
  ['below the range', '4'],
  ['above the range', '301'],
  ['no whole number', '10.5'],
])('passes over a stored setting that no agent may have: %s', (_title, value) => {
  expect(effectiveConfig({ agent_metrics_interval: value }, null)).toEqual(DEFAULTS);
  const own = effectiveConfig({ agent_metrics_interval: '10' }, { metrics_interval: value });
  expect(own).toEqual({ ...DEFAULTS, metrics_interval: 10 });
});

it('has a settings key for every field', () => {
  expect(Object.keys(CONFIG_SETTING_KEYS)).toEqual(Object.keys(agentConfigSchema.shape));
});

const FLEET = {
  agent_server_url: 'wss://fleet.example',
  agent_server_fingerprint: 'ab'.repeat(32),
};
const FLEET_ADDRESS = {
  server_url: 'wss://fleet.example',
  server_fingerprint: 'ab'.repeat(32),
};

it.each([
  ['nowhere where nothing is set', {}, null, undefined],
  [
    'nowhere by a fingerprint alone',
    { agent_server_fingerprint: 'ab'.repeat(32) },
    null,
    undefined,
  ],
  ['the fleet’s', FLEET, {}, FLEET_ADDRESS],
  ['the fleet’s over one that is none', FLEET, { server_url: 'http://own.example' }, FLEET_ADDRESS],
  ['the fleet’s when its own is cleared', FLEET, { server_url: null }, FLEET_ADDRESS],
  [
    'its own, without the fleet’s fingerprint',
    FLEET,
    { server_url: 'ws://own.example/ws/agent' },
    { server_url: 'ws://own.example/ws/agent', server_fingerprint: null },
  ],
  [
    'its own with its own fingerprint',
    FLEET,
    { server_url: 'wss://own.example', server_fingerprint: 'CD:'.repeat(31) + 'CD' },
    { server_url: 'wss://own.example', server_fingerprint: 'CD:'.repeat(31) + 'CD' },
  ],
  [
    'its own without a fingerprint that is none',
    {},
    { server_url: 'wss://own.example', server_fingerprint: 'short' },
    { server_url: 'wss://own.example', server_fingerprint: null },
  ],
])('sends an agent to: %s', (_title, settings, overrides, address) => {
  expect(effectiveAddress(settings, overrides)).toEqual(address);
});
