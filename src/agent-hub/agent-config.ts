import { type AgentConfig, agentConfigSchema } from '../../protocol/handshake.ts';

/** Settings an agent can be given, and the key each has in the settings table. */
export const CONFIG_SETTING_KEYS: Readonly<Record<keyof AgentConfig, string>> = {
  metrics_interval: 'agent_metrics_interval',
  health_interval: 'agent_health_interval',
  reconnect_timeout: 'agent_reconnect_timeout',
};

/** The fleet's settings with one agent's own on top. */
export function effectiveConfig(
  settings: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, unknown>> | null,
): AgentConfig {
  const defaults: Record<string, number> = {};
  for (const [name, key] of Object.entries(CONFIG_SETTING_KEYS)) {
    const value = settings[key];
    if (value !== undefined) defaults[name] = Number(value);
  }
  return agentConfigSchema.parse({ ...defaults, ...overrides });
}
