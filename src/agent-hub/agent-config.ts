import { type AgentConfig, agentConfigSchema } from '../../protocol/handshake.ts';

/** Settings an agent can be given, and the key each has in the settings table. */
export const CONFIG_SETTING_KEYS: Readonly<Record<keyof AgentConfig, string>> = {
  metrics_interval: 'agent_metrics_interval',
  health_interval: 'agent_health_interval',
  reconnect_timeout: 'agent_reconnect_timeout',
};

/**
 * The fleet's settings with one agent's own on top. A stored value that no agent may have is passed
 * over: it must not keep the fleet from connecting.
 */
export function effectiveConfig(
  settings: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, unknown>> | null,
): AgentConfig {
  const chosen: Record<string, unknown> = {};
  for (const name of agentConfigSchema.keyof().options) {
    const allowed = agentConfigSchema.shape[name].unwrap();
    const values = [overrides?.[name], Number(settings[CONFIG_SETTING_KEYS[name]])];
    chosen[name] = values.find((value) => allowed.safeParse(value).success);
  }
  return agentConfigSchema.parse(chosen);
}
