import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { grants } from '../../protocol/access.ts';
import type { TomoDatabase } from '../db/database.ts';
import type { AgentCall } from './agent-call.ts';
import { effectiveAddress, type HubAddress } from './agent-config.ts';
import type { AgentConnection } from './agent-connection.ts';

interface RedirectionDeps {
  readonly db: Pick<TomoDatabase, 'agents' | 'settings'>;
  readonly log: Logger;
  readonly call: (connection: AgentConnection, call: AgentCall) => Promise<unknown>;
}

/** Tells an agent that came by another address than it should where to dial. Never rejects. */
export async function redirect(
  { call, log }: Pick<RedirectionDeps, 'call' | 'log'>,
  connection: AgentConnection,
  wanted: HubAddress | undefined,
): Promise<void> {
  const { hello, serverId } = connection.agent;
  if (wanted === undefined || hello.server_url === undefined) return;
  if (isSameUrl(hello.server_url, wanted.server_url)) return;
  try {
    const params = { ...wanted };
    const request = { id: randomUUID(), method: 'config.update', params };
    await call(connection, { ...request, access: 'admin' });
  } catch (error) {
    const detail = { err: error, server: serverId, server_url: wanted.server_url };
    log.warn(detail, 'an agent did not take the address it is to dial');
  }
}

/** The same for an agent whose row and settings are not at hand. */
export async function redirectLater(
  deps: RedirectionDeps,
  connection: AgentConnection,
): Promise<void> {
  const { db, log } = deps;
  try {
    const row = await db.agents.findById(connection.agent.agentId);
    const wanted = effectiveAddress(await db.settings.all(), row?.config ?? null);
    await redirect(deps, connection, wanted);
  } catch (error) {
    log.error({ err: error }, 'the address an agent is to dial could not be read');
  }
}

/** Tells an agent a ceiling that was lowered after its welcome. Never rejects. */
export async function lowerLater(
  { call, log }: Pick<RedirectionDeps, 'call' | 'log'>,
  connection: AgentConnection,
): Promise<void> {
  const { hello, access, serverId } = connection.agent;
  if (hello.protocol === undefined || grants(access, hello.access ?? 'admin')) return;
  try {
    const request = { id: randomUUID(), method: 'config.update', params: { access } };
    await call(connection, { ...request, access: 'admin' });
  } catch (error) {
    log.warn({ err: error, server: serverId, access }, 'an agent did not take its lower access');
  }
}

function isSameUrl(dialled: string, wanted: string): boolean {
  return URL.parse(dialled)?.href === new URL(wanted).href;
}
