import { grants } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { hubUrlSchema, plainFingerprint } from '../../protocol/hub-address.ts';
import type { AgentHub } from '../agent-hub/agent-hub.ts';
import { isCalled } from '../agent-hub/machine-identity.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { hubWebSocketUrl } from '../provisioning/hub-address.ts';
import { FLEET_SETTING_KEYS } from './fleet-settings.ts';
import type { ArgsOf } from './operations.ts';

type Args = ArgsOf<'configure_agents'>;
type Settings = Args['settings'];

/** What may be set for whom. Throws INVALID_PARAMS; what depends on the agents is checked with them. */
export function refuseWrongScope({ server_ids, labels, settings }: Args): void {
  const whole = server_ids === undefined && labels === undefined;
  if (whole && settings.access !== undefined) {
    throw invalid(
      'access is lowered for chosen agents: name them with server_ids or labels. For the whole server there is --read-only.',
    );
  }
  if (settings.accept_machine !== undefined && server_ids === undefined) {
    throw invalid('accept_machine is for agents that you name: give server_ids.');
  }
  if (whole) return;
  const fleetOnly = Object.keys(FLEET_SETTING_KEYS).filter((name) => Object.hasOwn(settings, name));
  if (fleetOnly.length === 0) return;
  throw invalid(
    `${fleetOnly.join(', ')} can only be set for all agents: leave server_ids and labels out, and set nothing for single agents in the same call.`,
  );
}

/** Throws ACCESS_DENIED naming those whose ceiling would rise, CONFLICT naming those nobody asked for. */
export function refuseForAgents(
  agents: readonly AgentRow[],
  { access, accept_machine }: Settings,
  hub: Pick<AgentHub, 'duplicates'>,
): void {
  const raised = access && agents.filter((agent) => !grants(agent.access, access));
  if (raised !== undefined && raised.length > 0) throw mayNotRise(raised, access);
  if (accept_machine === undefined) return;
  const unasked = agents.filter(({ id }) => {
    const { lastHost } = hub.duplicates(id);
    return lastHost === undefined || !isCalled(lastHost, accept_machine);
  });
  if (unasked.length > 0) throw noMachineRefused(unasked);
}

/** An address for agents as it is kept; null: the one kept goes. */
export interface AddressChange {
  readonly server_url: string | null;
  readonly server_fingerprint: string | null;
}

/**
 * The change of address that the settings ask for, if any. With TLS it is taken for this very server's
 * (`own`: what its agents are pinned to) unless told otherwise. Throws INVALID_PARAMS.
 */
export function addressChange(
  settings: Settings,
  own: string | undefined,
): AddressChange | undefined {
  const { server_url } = settings;
  const isPinned = own !== undefined && /^(?:https|wss):/i.test(server_url ?? '');
  const server_fingerprint =
    settings.server_fingerprint === undefined && isPinned
      ? own
      : (settings.server_fingerprint ?? null);
  if (server_url === undefined) {
    if (settings.server_fingerprint === undefined) return undefined;
    throw invalid('server_fingerprint goes with server_url: give both.');
  }
  if (server_url === null) {
    if (server_fingerprint === null) return { server_url, server_fingerprint };
    throw invalid('server_url null takes the fingerprint with it: leave server_fingerprint out.');
  }
  const url = agentsUrl(server_url);
  if (server_fingerprint === null) return { server_url: url, server_fingerprint };
  if (url.startsWith('wss:')) {
    return { server_url: url, server_fingerprint: plainFingerprint(server_fingerprint) };
  }
  throw invalid(
    'server_fingerprint needs an https:// or wss:// server_url: there is no certificate without TLS.',
  );
}

/** The whole URL that agents dial. */
function agentsUrl(text: string): string {
  const url = /^https?:/i.test(text) ? hubWebSocketUrl(text) : new URL(text).href;
  const parsed = hubUrlSchema.safeParse(url);
  if (parsed.success) return parsed.data;
  throw invalid(`server_url: ${parsed.error.issues.map(({ message }) => message).join(', ')}.`);
}

function invalid(reason: string): TomoError {
  return new TomoError('INVALID_PARAMS', `${reason} Nothing was changed.`);
}

function mayNotRise(agents: readonly AgentRow[], access: string | undefined): TomoError {
  const now = agents.map(({ serverId, access: held }) => `${serverId} (${held})`).join(', ');
  return new TomoError(
    'ACCESS_DENIED',
    `Access is only lowered here, and these agents may do less than "${access}": ${now}. Nothing was changed. To raise it, install the agent anew: install_agent with access and replace: true.`,
    { facts: { server_ids: agents.map(({ serverId }) => serverId) } },
  );
}

function noMachineRefused(agents: readonly AgentRow[]): TomoError {
  const names = agents.map(({ serverId }) => serverId).join(', ');
  return new TomoError(
    'CONFLICT',
    `That is not the machine that was refused last for: ${names}. Nothing was changed. Start the agent on its new machine, wait until get_agent_status shows it under duplicates, then call again with the machine_id of its last_host.`,
    { facts: { server_ids: agents.map(({ serverId }) => serverId) } },
  );
}
