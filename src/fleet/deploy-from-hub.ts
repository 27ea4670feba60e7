import { TomoError } from '../../protocol/errors.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { ContainerPlan } from '../provisioning/container-plan.ts';
import { deployAgent, removeOtherAgents } from '../provisioning/deploy-agent.ts';
import { openTarget } from '../provisioning/deploy-target.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf } from './operations.ts';

const NEVER = new AbortController().signal;
const CLEAN_UP_MAX_MS = 60_000;

/**
 * Puts an agent's container on its target and waits until the hub has it; with `replace` the one that
 * was there goes afterwards. Answers what was removed. Throws what `openTarget` and `deployAgent` throw.
 */
export async function deployFromHub(
  context: FleetContext,
  agent: AgentRow,
  plan: ContainerPlan,
  { deploy, replace, wait_seconds }: ArgsOf<'install_agent'>,
  { progress = () => undefined, signal = NEVER }: Caller,
): Promise<string[]> {
  if (deploy === undefined) return [];
  const { hub } = context;
  const isCandidate = hub.connected(agent.id) !== undefined;
  const waiting = new AbortController();
  await using target = await openTarget(deploy, progress, signal);
  // Before the container starts: who came and went meanwhile is not remembered.
  const wait = { since: Date.now(), signal: waiting.signal };
  const cameIn = isCandidate
    ? promoted(context, agent.id, waiting.signal)
    : hub.waitForConnection(agent.id, wait);
  cameIn.catch(() => undefined);
  try {
    await deployAgent(target, plan, {
      progress,
      signal,
      cameIn,
      giveUp: () => gaveUp(context, agent.id, isCandidate),
      waitMs: wait_seconds * 1_000,
    });
  } finally {
    waiting.abort();
  }
  progress('connected');
  if (!replace) return [];
  progress('removing the agent that was replaced');
  const cleanUp = AbortSignal.timeout(CLEAN_UP_MAX_MS);
  return removeOtherAgents(target.engine, agent.serverId, plan, cleanUp);
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

/** Withdraws what has not come in yet. False if it came in at the last moment. */
async function gaveUp(
  { hub }: FleetContext,
  agentId: string,
  isCandidate: boolean,
): Promise<boolean> {
  return isCandidate ? hub.dropCandidate(agentId) : hub.connected(agentId) === undefined;
}
