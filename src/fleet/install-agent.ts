import { randomBytes, randomUUID } from 'node:crypto';
import type { Access } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { hashRegistrationCode, newRegistrationCode } from '../agent-hub/credentials.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { containerPlan, type PlanRequest } from '../provisioning/container-plan.ts';
import { deployment } from '../provisioning/deployment.ts';
import { type DeployCode, deployFromHub } from './deploy-from-hub.ts';
import type { Caller } from './fleet.ts';
import { type FleetContext, isoTime } from './fleet-context.ts';
import { codeTtlMs } from './fleet-settings.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';

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
  const abort = new AbortController();
  const signals = caller.signal === undefined ? [] : [caller.signal];
  const signal = AbortSignal.any([abort.signal, ...signals]);
  const done = install(context, args, { ...caller, signal });
  installing.set(args.server_id, { abort, done });
  try {
    return await done;
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
  const access = args.access ?? existing?.access ?? 'admin';
  const code = await issueCode(context, { ...args, access }, existing);
  const request: PlanRequest = {
    publicUrl: context.publicUrl,
    serverId: args.server_id,
    code: code.text,
    access,
    ...(context.fingerprint === undefined ? {} : { fingerprint: context.fingerprint }),
    ...(args.replace ? { suffix: randomBytes(SUFFIX_BYTES).toString('hex') } : {}),
  };
  const { removed, warnings } = await deployFromHub(
    context,
    code,
    containerPlan(request),
    args,
    caller,
  );
  const agent = (await context.db.agents.findById(code.agent.id)) ?? code.agent;
  const texts = deployment(request);
  const manual = args.deploy === undefined ? [...texts.warnings, ...replacedByHand(args)] : [];
  return {
    agent_id: agent.id,
    registration_code: code.text,
    expires_at: isoTime(code.expiresAt),
    deploy_command: texts.deployCommand,
    compose_yaml: texts.composeYaml,
    grants: [...texts.grants],
    removed: [...removed],
    status: context.hub.connected(agent.id) === undefined ? agent.status : 'connected',
    warnings: [...manual, ...warnings],
  };
}

function replacedByHand({ replace, server_id }: InstallArgs): string[] {
  if (!replace) return [];
  return [
    `When the new agent is connected, the old one stops by itself; its container and volume stay. "docker ps -a --filter label=tomo.server_id=${server_id}" shows it, "docker rm -v" removes it.`,
  ];
}

interface IssuedCode extends DeployCode {
  readonly expiresAt: number;
}

/** A code for a new agent; a ticket where there is an agent that keeps its token until it is replaced. */
async function issueCode(
  context: FleetContext,
  args: InstallArgs & { access: Access },
  existing: AgentRow | undefined,
): Promise<IssuedCode> {
  const { text, ...code } = await newCode(context);
  const agent = await context.db.agents.install({
    agentId: randomUUID(),
    serverId: args.server_id,
    access: args.access,
    ...(args.labels === undefined ? {} : { labels: args.labels }),
    ...code,
  });
  const hasToken = existing !== undefined && existing.registeredAt !== null;
  if (!args.replace || !hasToken || existing.status === 'revoked') {
    return { text, expiresAt: code.expiresAt, agent, isTicket: false };
  }
  const { text: ticket, ...codeOfTicket } = await newCode(context);
  const { access } = args;
  await context.db.agents.issueTicket({ agentId: agent.id, access, ...codeOfTicket });
  return { text: ticket, expiresAt: codeOfTicket.expiresAt, agent, isTicket: true };
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
  const expiresAt = now + codeTtlMs(await context.db.settings.all());
  return { text, codeId: randomUUID(), codeHash: hashRegistrationCode(text), expiresAt, now };
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
