import { randomBytes, randomUUID } from 'node:crypto';
import { TomoError } from '../../protocol/errors.ts';
import { CODE_TTL_DEFAULT_MINUTES } from '../../protocol/limits.ts';
import { hashRegistrationCode, newRegistrationCode } from '../agent-hub/credentials.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { containerPlan, type PlanRequest } from '../provisioning/container-plan.ts';
import { deployment } from '../provisioning/deployment.ts';
import { deployFromHub } from './deploy-from-hub.ts';
import type { Caller } from './fleet.ts';
import { type FleetContext, isoTime } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';

const CODE_TTL_SETTING = 'agent_code_ttl_minutes';
const MINUTE_MS = 60_000;
const SUFFIX_BYTES = 3;

type InstallArgs = ArgsOf<'install_agent'>;

/**
 * A fresh registration code for a server's agent, new or known, and the texts that deploy it; with
 * `deploy` the agent is put there and waited for. Throws AGENT_CONNECTED when there is a connected one
 * that is not to be replaced, and what `deployFromHub` throws.
 */
export async function installAgent(
  context: FleetContext,
  args: InstallArgs,
  caller: Caller,
): Promise<OperationResult<'install_agent'>> {
  requireAdmin(caller, 'install_agent');
  const { installing } = context;
  if (installing.has(args.server_id)) throw underWay(args.server_id);
  installing.add(args.server_id);
  try {
    return await install(context, args, caller);
  } finally {
    installing.delete(args.server_id);
  }
}

async function install(
  context: FleetContext,
  args: InstallArgs,
  caller: Caller,
): Promise<OperationResult<'install_agent'>> {
  const existing = await context.db.agents.findByServer(args.server_id);
  const connected = existing !== undefined && context.hub.connected(existing.id) !== undefined;
  if (connected && !args.replace) throw alreadyConnected(args.server_id);
  // A connected agent keeps its token until its replacement has proved itself.
  const code = await (connected ? issueTicket(context, existing) : issueCode(context, args));
  const request: PlanRequest = {
    publicUrl: context.publicUrl,
    serverId: args.server_id,
    code: code.text,
    access: connected ? existing.access : args.access,
    ...(args.replace ? { suffix: randomBytes(SUFFIX_BYTES).toString('hex') } : {}),
  };
  const removed =
    args.deploy === undefined
      ? []
      : await deployFromHub(context, code.agent, containerPlan(request), args, caller);
  const agent = (await context.db.agents.findById(code.agent.id)) ?? code.agent;
  const texts = deployment(request);
  return {
    agent_id: agent.id,
    registration_code: code.text,
    expires_at: isoTime(code.expiresAt),
    deploy_command: texts.deployCommand,
    compose_yaml: texts.composeYaml,
    grants: [...texts.grants],
    removed,
    status: context.hub.connected(agent.id) === undefined ? agent.status : 'connected',
    warnings: args.deploy === undefined ? [...texts.warnings] : [],
  };
}

interface IssuedCode {
  readonly text: string;
  readonly expiresAt: number;
  readonly agent: AgentRow;
}

async function issueCode(context: FleetContext, args: InstallArgs): Promise<IssuedCode> {
  const { text, ...code } = await newCode(context);
  const agent = await context.db.agents.install({
    agentId: randomUUID(),
    serverId: args.server_id,
    access: args.access,
    ...(args.labels === undefined ? {} : { labels: args.labels }),
    ...code,
  });
  return { text, expiresAt: code.expiresAt, agent };
}

async function issueTicket(context: FleetContext, agent: AgentRow): Promise<IssuedCode> {
  const { text, ...code } = await newCode(context);
  await context.db.agents.issueTicket({ agentId: agent.id, ...code });
  return { text, expiresAt: code.expiresAt, agent };
}

async function newCode(context: FleetContext): Promise<{
  text: string;
  codeId: string;
  codeHash: string;
  expiresAt: number;
  now: number;
}> {
  const text = newRegistrationCode();
  const now = Date.now();
  const expiresAt = now + (await codeTtlMs(context));
  return { text, codeId: randomUUID(), codeHash: hashRegistrationCode(text), expiresAt, now };
}

async function codeTtlMs(context: FleetContext): Promise<number> {
  const settings = await context.db.settings.all();
  return Number(settings[CODE_TTL_SETTING] ?? CODE_TTL_DEFAULT_MINUTES) * MINUTE_MS;
}

function underWay(serverId: string): TomoError {
  return new TomoError(
    'CONFLICT',
    `An installation on ${serverId} is under way. Wait for it, or cancel it, then call again.`,
    { facts: { server_id: serverId } },
  );
}

function alreadyConnected(serverId: string): TomoError {
  return new TomoError(
    'AGENT_CONNECTED',
    `Agent ${serverId} is connected already. Use it as it is, or call install_agent with replace: true to put a new one in its place.`,
    { facts: { server_id: serverId } },
  );
}
