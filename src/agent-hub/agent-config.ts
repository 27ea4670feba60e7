import { type AgentConfig, agentConfigSchema } from '../../protocol/handshake.ts';
import { fingerprintSchema, hubUrlSchema } from '../../protocol/hub-address.ts';

/** Settings an agent can be given, and the key each has in the settings table. */
export const CONFIG_SETTING_KEYS: Readonly<Record<keyof AgentConfig, string>> = {
  metrics_interval: 'agent_metrics_interval',
  health_interval: 'agent_health_interval',
  reconnect_timeout: 'agent_reconnect_timeout',
};

/** Where agents are to dial the hub; without a row they stay where they are. */
export const ADDRESS_SETTING_KEYS = {
  server_url: 'agent_server_url',
  server_fingerprint: 'agent_server_fingerprint',
} as const;

export interface HubAddress {
  readonly server_url: string;
  /** The certificate to expect there; null: any that CAs vouch for. */
  readonly server_fingerprint: string | null;
}

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

/**
 * Where an agent is to dial the hub, its own settings before the fleet's; undefined if it is told
 * nowhere. A fingerprint counts only for the address that it was set with.
 */
export function effectiveAddress(
  settings: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, unknown>> | null,
): HubAddress | undefined {
  const keys = ADDRESS_SETTING_KEYS;
  return (
    address(overrides?.['server_url'], overrides?.['server_fingerprint']) ??
    address(settings[keys.server_url], settings[keys.server_fingerprint])
  );
}

function address(url: unknown, fingerprint: unknown): HubAddress | undefined {
  const server_url = hubUrlSchema.safeParse(url);
  if (!server_url.success) return undefined;
  const server_fingerprint = fingerprintSchema.safeParse(fingerprint).data ?? null;
  return { server_url: server_url.data, server_fingerprint };
}
