import { CODE_TTL_DEFAULT_MINUTES, TOKEN_GRACE_DEFAULT_MINUTES } from '../../protocol/limits.ts';

/** Settings that hold for all agents, by the name that configure_agents has for each. */
export const FLEET_SETTING_KEYS = {
  token_rotation_days: 'agent_token_rotation_days',
  token_grace_minutes: 'agent_token_grace_minutes',
  code_ttl_minutes: 'agent_code_ttl_minutes',
} as const;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

type Rows = Readonly<Record<string, string>>;

/** How long a registration code is good. */
export function codeTtlMs(settings: Rows): number {
  return numberOf(settings, 'code_ttl_minutes', CODE_TTL_DEFAULT_MINUTES) * MINUTE_MS;
}

/** How long a replaced token is good beside the new one. */
export function tokenGraceMs(settings: Rows): number {
  return numberOf(settings, 'token_grace_minutes', TOKEN_GRACE_DEFAULT_MINUTES) * MINUTE_MS;
}

/** How old a token may become before it is replaced; undefined: as old as it likes. */
export function tokenRotationMs(settings: Rows): number | undefined {
  const days = numberOf(settings, 'token_rotation_days', 0);
  return days === 0 ? undefined : days * DAY_MS;
}

/** All of them, as configure_agents answers them. */
export function fleetSettings(settings: Rows): Record<keyof typeof FLEET_SETTING_KEYS, number> {
  return {
    token_rotation_days: numberOf(settings, 'token_rotation_days', 0),
    token_grace_minutes: tokenGraceMs(settings) / MINUTE_MS,
    code_ttl_minutes: codeTtlMs(settings) / MINUTE_MS,
  };
}

/** A row that holds no such number stands for the default. */
function numberOf(
  settings: Rows,
  name: keyof typeof FLEET_SETTING_KEYS,
  otherwise: number,
): number {
  const value = Number(settings[FLEET_SETTING_KEYS[name]] ?? otherwise);
  return Number.isFinite(value) && value >= 0 ? value : otherwise;
}
