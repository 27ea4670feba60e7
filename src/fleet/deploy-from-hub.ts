import { setTimeout as delay } from 'node:timers/promises';
import { TomoError } from '../../protocol/errors.ts';
import { RETIRE_MAX_MS } from '../../protocol/limits.ts';
import type { ConnectedAgent } from '../agent-hub/connected-agent.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { ContainerPlan } from '../provisioning/container-plan.ts';
import { deployAgent, removeOtherAgents } from '../provisioning/deploy-agent.ts';
import { type DeployTarget, openTarget } from '../provisioning/deploy-target.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf } from './operations.ts';

const NEVER = new AbortController().signal;
const CLEAN_UP_MAX_MS = 60_000;

/** A deployment's code, and whether it is a candidate's ticket. */
export interface DeployCode {
  readonly text: string;
  readonly isTicket: boolean;
  readonly agent: AgentRow;
}

export interface Deployed {
  /** Containers and volumes of the agent that was replaced. */
  readonly removed: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Puts an agent's container on its target and waits until this very agent has come in; with `replace`
 * the one that was there goes once it has finished its commands. Throws what `openTarget` and
 * `deployAgent` throw.
 */
export async function deployFromHub(
  context: FleetContext,
  code: DeployCode,
  plan: ContainerPlan,
  args: ArgsOf<'install_agent'>,
  caller: Caller,
): Promise<Deployed> {
  const { progress = () => undefined, signal = NEVER } = caller;
  if (args.deploy === undefined) return { removed: [], warnings: [] };
  const { hub } = context;
  await using target = await openTarget(args.deploy, progress, signal);
  const waiting = new AbortController();
  // Before the container starts: who came and went meanwhile is not remembered.
  const cameIn = code.isTicket
    ? promoted(context, code.agent.id, waiting.signal)
    : registered(context, code, waiting.signal);
  const finished = hub.waitForDeparture(code.agent.id, waiting.signal);
  for (const wait of [cameIn, finished]) wait.catch(() => undefined);
  try {
    await deployAgent(target, plan, {
      progress,
      signal,
      cameIn,
      giveUp: () => gaveUp(context, code),
      waitMs: args.wait_seconds * 1_000,
    });
    progress('connected');
    if (!args.replace) return { removed: [], warnings: [] };
    progress('letting the replaced agent finish its commands');
    await Promise.race([finished, delay(RETIRE_MAX_MS, undefined, { ref: false })]);
    return await cleanUp(target, code.agent.serverId, plan, progress);
  } finally {
    waiting.abort();
  }
}

/** The new agent is in: what cannot be removed of the old one is said, and is no failure. */
async function cleanUp(
  target: DeployTarget,
  serverId: string,
  plan: ContainerPlan,
  progress: NonNullable<Caller['progress']>,
): Promise<Deployed> {
  progress('removing the agent that was replaced');
  try {
    const limit = AbortSignal.timeout(CLEAN_UP_MAX_MS);
    return {
      removed: await removeOtherAgents(target.engine, serverId, plan, limit),
      warnings: [],
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const look = `${target.docker} ps -a --filter label=tomo.server_id=${serverId}`;
    return {
      removed: [],
      warnings: [`The replaced agent could not be removed (${reason}). "${look}" shows it.`],
    };
  }
}

async function promoted(
  { hub }: FleetContext,
  agentId: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await hub.waitForPromotion(agentId, signal)) === 'promoted') return;
  throw new TomoError(
    'AGENT_DID_NOT_REGISTER',
    'The new agent connected but did not answer its first call; the old one goes on as before.',
  );
}

/** Waits for the agent that this code let in: an older one of the same server may come back meanwhile. */
async function registered(
  { hub }: FleetContext,
  code: DeployCode,
  signal: AbortSignal,
): Promise<void> {
  let since = 0;
  for (;;) {
    const agent = await hub.waitForConnection(code.agent.id, { since, signal });
    if (cameInWith(agent, code)) return;
    since = agent.connectedAt + 1;
  }
}

/** Withdraws what has not come in yet. False if it came in at the last moment. */
async function gaveUp({ hub }: FleetContext, code: DeployCode): Promise<boolean> {
  if (code.isTicket) return hub.dropCandidate(code.agent.id);
  const agent = hub.connected(code.agent.id);
  return agent === undefined || !cameInWith(agent, code);
}

function cameInWith({ hello }: ConnectedAgent, code: DeployCode): boolean {
  return hello.type === 'register' && hello.code === code.text;
}
