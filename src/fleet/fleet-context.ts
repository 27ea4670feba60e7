import type { Logger } from 'pino';
import { TomoError } from '../../protocol/errors.ts';
import type { AgentHub } from '../agent-hub/agent-hub.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { TomoDatabase } from '../db/database.ts';
import type { Audit } from './audit.ts';
import type { CommandRun } from './command-run.ts';
import type { LaterCancels } from './later-cancels.ts';
import type { OwnerInfo } from './operations.ts';
import type { RunRoom } from './run-room.ts';
import type { SearchTurns } from './search-turns.ts';

/** An installation that is under way. */
export interface Installation {
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
}

/** What operations work with, in the process that owns the data directory. */
export interface FleetContext {
  readonly db: TomoDatabase;
  readonly hub: AgentHub;
  readonly audit: Audit;
  /** http or https base URL that agents reach this server by. */
  readonly publicUrl: string;
  /**
   * SHA-256 (hex) of the certificate at `publicUrl`, for agents to expect; left out where CAs vouch for
   * the certificate, which is then replaced without their knowing; null: Tomo's own certificate, which
   * agents do not see because a proxy shows them another.
   */
  readonly fingerprint?: string | null | undefined;
  /** Where hub and MCP endpoint listen, and under which rules. */
  readonly owner: OwnerInfo;
  /** Lets go of the data directory once the answer is out, for a server that asks for it. */
  readonly handOver: () => void;
  /** Installations under way, by server. */
  readonly installing: Map<string, Installation>;
  /** Commands under way that this process waits for, by id; the hub limits how many. */
  readonly runs: Map<string, CommandRun>;
  readonly runRoom: RunRoom;
  readonly laterCancels: LaterCancels;
  readonly searchTurns: SearchTurns;
  readonly log: Logger;
}

/** The agent of a server. Throws UNKNOWN_SERVER with what to do about it. */
export async function agentOf(context: FleetContext, serverId: string): Promise<AgentRow> {
  const agent = await context.db.agents.findByServer(serverId);
  if (agent !== undefined) return agent;
  throw new TomoError(
    'UNKNOWN_SERVER',
    `No agent is installed on a server "${serverId}". list_agents shows the servers there are; install_agent adds one.`,
    { facts: { server_id: serverId } },
  );
}

/** Milliseconds since the epoch as ISO 8601. */
export function isoTime(at: number): string;
export function isoTime(at: number | null | undefined): string | null;
export function isoTime(at: number | null | undefined): string | null {
  return at === null || at === undefined ? null : new Date(at).toISOString();
}
