import { TomoError } from '../../protocol/errors.ts';
import { hostSchema } from '../../protocol/handshake.ts';
import { type Metrics } from '../../protocol/telemetry.ts';
import { effectiveAddress, effectiveConfig } from '../agent-hub/agent-config.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { duplicatesOf } from './agent-duplicates.ts';
import { agentOf, type FleetContext, isoTime } from './fleet-context.ts';
import { type AgentSummary, type ArgsOf, type OperationResult } from './operations.ts';
import { serverIdSchema } from './schema-fields.ts';
import { metricsOf, shortened } from './status-metrics.ts';

/** How long a status waits for the agent to answer its ping. */
const PING_WAIT_MS = 2_000;

/** Everything known of one server's agent. Throws UNKNOWN_SERVER. */
export async function agentStatus(
  context: FleetContext,
  { server_id }: ArgsOf<'get_agent_status'>,
): Promise<OperationResult<'get_agent_status'>> {
  const agent = await agentOf(context, server_id);
  const latency = await context.hub.latency(agent.id, AbortSignal.timeout(PING_WAIT_MS));
  const connected = context.hub.connected(agent.id);
  const latest = await latestMetrics(context, agent.id);
  const settings = await context.db.settings.all();
  return {
    ...summaryOf(context, agent),
    registered_at: isoTime(agent.registeredAt),
    connected_at: isoTime(connected?.connectedAt),
    address: connected?.address ?? null,
    latency_ms: latency === undefined ? null : Math.round(latency * 100) / 100,
    host: hostSchema.nullable().catch(null).parse(agent.host),
    capabilities: agent.capabilities,
    config: effectiveConfig(settings, agent.config),
    metrics: latest?.metrics ?? null,
    metrics_at: isoTime(latest?.at),
    health: context.hub.telemetry.latestHealth(agent.id)?.health ?? null,
    token: tokenOf(agent),
    duplicates: duplicatesOf(context, agent),
    move: moveOf(context, agent, settings),
  };
}

function moveOf(
  { hub }: FleetContext,
  agent: AgentRow,
  settings: Readonly<Record<string, string>>,
): OperationResult<'get_agent_status'>['move'] {
  const wanted = effectiveAddress(settings, agent.config);
  const dialled = hub.connected(agent.id)?.hello.server_url;
  if (wanted === undefined || dialled === wanted.server_url) return null;
  const failed = hub.telemetry.latestMoveFailure(agent.id);
  return {
    server_url: wanted.server_url,
    failed_at: isoTime(failed?.at),
    cause: failed?.failure.cause ?? null,
  };
}

function tokenOf(agent: AgentRow): OperationResult<'get_agent_status'>['token'] {
  const { tokenIssuedAt, hasPendingToken, pendingTokenStored, pendingTokenExpiresAt } = agent;
  const issued_at = isoTime(tokenIssuedAt);
  if (!hasPendingToken) return { issued_at, rotation: 'none', grace_ends_at: null };
  return {
    issued_at,
    rotation: pendingTokenStored ? 'stored' : 'offered',
    grace_ends_at: isoTime(pendingTokenExpiresAt),
  };
}

/** Agents in the order of their servers' ids, a page at a time. */
export async function listAgents(
  context: FleetContext,
  { status, labels, cursor, limit }: ArgsOf<'list_agents'>,
): Promise<OperationResult<'list_agents'>> {
  const rows = await context.db.agents.list({
    ...(status === undefined ? {} : { status }),
    ...(labels === undefined ? {} : { labels }),
    ...(cursor === undefined ? {} : { after: cursorPosition(cursor) }),
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    agents: page.map((row) => summaryOf(context, row)),
    ...(last === undefined
      ? {}
      : { next_cursor: Buffer.from(last.serverId).toString('base64url') }),
  };
}

function cursorPosition(cursor: string): string {
  const serverId = serverIdSchema.safeParse(Buffer.from(cursor, 'base64url').toString());
  if (serverId.success) return serverId.data;
  throw new TomoError(
    'INVALID_PARAMS',
    'cursor is not one of list_agents: pass next_cursor of the page before, or leave it out.',
  );
}

function summaryOf(context: FleetContext, agent: AgentRow): AgentSummary {
  const connected = context.hub.connected(agent.id);
  return {
    server_id: agent.serverId,
    agent_id: agent.id,
    status: statusOf(agent, connected !== undefined),
    version: connected?.hello.version ?? agent.version,
    last_seen: isoTime(context.hub.telemetry.lastSeen(agent.id) ?? agent.lastSeen),
    access: connected?.access ?? agent.access,
    labels: agent.labels,
  };
}

/** The hub's table decides who is connected; a row may lag behind it. */
function statusOf({ status }: AgentRow, isConnected: boolean): AgentSummary['status'] {
  if (status === 'revoked') return status;
  if (isConnected) return 'connected';
  return status === 'connected' ? 'disconnected' : status;
}

async function latestMetrics(
  context: FleetContext,
  agentId: string,
): Promise<{ at: number; metrics: Metrics } | undefined> {
  const live = context.hub.telemetry.latestMetrics(agentId);
  if (live !== undefined) return { at: live.at, metrics: shortened(live.metrics) };
  const row = await context.db.metrics.latest(agentId);
  return row === undefined ? undefined : { at: row.at, metrics: metricsOf(row) };
}
