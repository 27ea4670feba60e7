import { randomUUID } from 'node:crypto';
import { TomoError } from '../../protocol/errors.ts';
import { CODE_TTL_DEFAULT_MINUTES } from '../../protocol/limits.ts';
import { hashRegistrationCode, newRegistrationCode } from '../agent-hub/credentials.ts';
import { deployment } from '../provisioning/deployment.ts';
import type { Caller } from './fleet.ts';
import { type FleetContext, isoTime } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';

const CODE_TTL_SETTING = 'agent_code_ttl_minutes';
const MINUTE_MS = 60_000;

/**
 * A fresh registration code for a server's agent, new or known, and the texts that deploy it. Throws
 * AGENT_CONNECTED when there is a connected one, which a second agent would push aside.
 */
export async function installAgent(
  context: FleetContext,
  args: ArgsOf<'install_agent'>,
  caller: Caller,
): Promise<OperationResult<'install_agent'>> {
  requireAdmin(caller, 'install_agent');
  await refuseConnected(context, args.server_id);
  const code = newRegistrationCode();
  const now = Date.now();
  const expiresAt = now + (await codeTtlMs(context));
  const agent = await context.db.agents.install({
    agentId: randomUUID(),
    serverId: args.server_id,
    access: args.access,
    ...(args.labels === undefined ? {} : { labels: args.labels }),
    codeId: randomUUID(),
    codeHash: hashRegistrationCode(code),
    expiresAt,
    now,
  });
  const { deployCommand, composeYaml, warnings } = deployment({
    publicUrl: context.publicUrl,
    code,
    access: args.access,
  });
  return {
    agent_id: agent.id,
    registration_code: code,
    expires_at: isoTime(expiresAt),
    deploy_command: deployCommand,
    compose_yaml: composeYaml,
    status: agent.status,
    warnings: [...warnings],
  };
}

async function refuseConnected(context: FleetContext, serverId: string): Promise<void> {
  const existing = await context.db.agents.findByServer(serverId);
  if (existing === undefined || context.hub.connected(existing.id) === undefined) return;
  throw new TomoError(
    'AGENT_CONNECTED',
    `Agent ${serverId} is connected already. Use it as it is, or call revoke_agent first to install it anew.`,
    { facts: { server_id: serverId } },
  );
}

async function codeTtlMs(context: FleetContext): Promise<number> {
  const settings = await context.db.settings.all();
  return Number(settings[CODE_TTL_SETTING] ?? CODE_TTL_DEFAULT_MINUTES) * MINUTE_MS;
}
