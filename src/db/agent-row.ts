import { type SQL, sql } from 'drizzle-orm';
import { type ACCESS, type AGENT_STATUSES, agents, servers } from './schema.ts';

export type AgentStatus = (typeof AGENT_STATUSES)[number];
export type AgentAccess = (typeof ACCESS)[number];
export type Labels = Record<string, string>;
export type AgentHost = Readonly<Record<string, string | undefined>>;

/** Fields of a host that are the same on no two machines, unless one is a copy of the other. */
export const IDENTITY_FIELDS = ['machine_id', 'engine_id'] as const;

/** An agent with its server's labels. Times in milliseconds since the epoch; token hashes stay inside. */
export interface AgentRow {
  id: string;
  serverId: string;
  labels: Labels;
  version: string | null;
  status: AgentStatus;
  /** The ceiling chosen at the installation. */
  access: AgentAccess;
  /** The ceiling of its candidate, in force with the promotion; null: the same. */
  candidateAccess: AgentAccess | null;
  /** The machine that its candidate's token belongs to. */
  candidateIdentity: AgentHost | null;
  /** What the agent itself says it grants. */
  reportedAccess: AgentAccess | null;
  /** Revision of the wire protocol; null for an agent that names none. */
  protocol: number | null;
  host: AgentHost | null;
  capabilities: string[] | null;
  lastSeen: number | null;
  registeredAt: number | null;
  /** When the token in force was given. */
  tokenIssuedAt: number | null;
  /** Whether a rotation has offered a token that is not in force yet. */
  hasPendingToken: boolean;
  /** Until when the token in force is good beside the pending one. */
  pendingTokenExpiresAt: number | null;
  /** Whether the agent said that it keeps the pending token. */
  pendingTokenStored: boolean;
  /** The machine that the token belongs to, as far as it is known. */
  identity: AgentHost | null;
  /** Settings of this agent alone, over the general ones. */
  config: Record<string, unknown> | null;
  createdAt: number;
  updatedAt: number;
}

/** What an agent tells of itself when it registers or authenticates; what it leaves out becomes null. */
export interface AgentHello {
  version: string;
  protocol?: number | null | undefined;
  host?: AgentHost | null | undefined;
  capabilities?: string[] | null | undefined;
  reportedAccess?: AgentAccess | null | undefined;
}

const labels: SQL<Labels> = sql`(
  SELECT servers.labels FROM servers WHERE servers.id = agents.server_id
)`.mapWith(servers.labels);

/** A revoked agent's pending token is kept too, but only so that it is known as a revoked one. */
export const pendingTokenCounts = sql<boolean>`(
  ${agents.pendingTokenHash} IS NOT NULL AND ${agents.tokenHash} IS NOT NULL
)`;

/** The columns of an AgentRow, for SELECT and RETURNING alike. */
export const agentColumns = {
  id: agents.id,
  serverId: agents.serverId,
  labels,
  version: agents.version,
  status: agents.status,
  access: agents.access,
  candidateAccess: agents.candidateAccess,
  candidateIdentity: agents.candidateIdentity,
  reportedAccess: agents.reportedAccess,
  protocol: agents.protocol,
  host: agents.host,
  capabilities: agents.capabilities,
  lastSeen: agents.lastSeen,
  registeredAt: agents.registeredAt,
  tokenIssuedAt: agents.tokenIssuedAt,
  hasPendingToken: pendingTokenCounts.mapWith(Boolean),
  pendingTokenExpiresAt: agents.pendingTokenExpiresAt,
  pendingTokenStored: agents.pendingTokenStored,
  identity: agents.identity,
  config: agents.config,
  createdAt: agents.createdAt,
  updatedAt: agents.updatedAt,
};

/** The columns that a hello sets, seen at `now`. */
export function helloColumns(hello: AgentHello, now: number) {
  return {
    status: 'connected' as const,
    version: hello.version,
    protocol: hello.protocol ?? null,
    host: hello.host ?? null,
    capabilities: hello.capabilities ?? null,
    reportedAccess: hello.reportedAccess ?? null,
    lastSeen: now,
    updatedAt: now,
  };
}

/** What of a host tells its machine from others; null if it says nothing of that. */
export function machineIdentity(host: AgentHost | null | undefined): AgentHost | null {
  const known = IDENTITY_FIELDS.flatMap((field) => {
    const value = host?.[field];
    return value === undefined || value === '' ? [] : [[field, value] as const];
  });
  return known.length === 0 ? null : Object.fromEntries(known);
}
