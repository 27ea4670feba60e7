import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { TomoError } from '../../protocol/errors.ts';
import { ensureAgentImage } from './agent-image.ts';
import { containerLog } from './container-log.ts';
import { AGENT_LABEL, type ContainerPlan, SERVER_LABEL } from './container-plan.ts';
import { explainFailure } from './deploy-failure.ts';
import type { DeployTarget } from './deploy-target.ts';
import type { Progress } from './progress.ts';

const WATCH_MS = 500;
const UNDO_MAX_MS = 30_000;
/** How long an engine may take for a step that is not cut off by a cancel. */
const STEP_MAX_MS = 60_000;

export interface DeployOptions {
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Resolves when the agent has come in; waited for from before the container starts. */
  readonly cameIn: Promise<unknown>;
  /** Asked before anything is removed again; false if the agent came in after all, and all stays. */
  readonly giveUp: () => Promise<boolean>;
  readonly waitMs: number;
}

/**
 * Starts an agent's container on the target and waits until the agent has come in. When that fails or
 * is cancelled, the container and volume that it made are removed again. Throws TARGET_OCCUPIED,
 * IMAGE_BUILD_FAILED, AGENT_DID_NOT_REGISTER, COMMAND_CANCELLED and the engine's own errors.
 */
export async function deployAgent(
  target: DeployTarget,
  plan: ContainerPlan,
  options: DeployOptions,
): Promise<void> {
  const { engine } = target;
  const { progress, signal } = options;
  await refuseOccupied(target, plan, signal);
  await ensureAgentImage(engine, plan.image, { progress, signal });
  const undo = new Undo(engine);
  try {
    progress(`creating container ${plan.name}`);
    // A cancel cuts off none of these: the engine would carry it out after its undoing.
    undo.add(`/volumes/${plan.dataVolume}`);
    await createVolume(engine, plan);
    undo.add(`/containers/${plan.name}`, { force: true, v: true });
    await createContainer(engine, plan);
    signal.throwIfAborted();
    const path = `/containers/${plan.name}/start`;
    await engine.request({ method: 'POST', path, signal: AbortSignal.timeout(STEP_MAX_MS) });
    progress('waiting for the agent to connect');
    await waitForAgent(target, plan, options);
  } catch (error) {
    // A database that refuses must not keep what was made from being removed.
    if (!(await options.giveUp().catch(() => true))) return;
    progress('failed; removing what was made');
    await undo.run();
    throw signal.aborted ? cancelled() : error;
  }
}

/** Removes other containers of a server's agent, and their data volumes; answers their names. */
export async function removeOtherAgents(
  engine: DockerEngine,
  serverId: string,
  keep: ContainerPlan,
  signal: AbortSignal,
): Promise<string[]> {
  const filters = { label: [`${AGENT_LABEL}=1`, `${SERVER_LABEL}=${serverId}`] };
  const query = { all: true, filters: JSON.stringify(filters) };
  const containers = containersSchema.parse(
    await engine.request({ path: '/containers/json', query, signal }),
  );
  const removed: string[] = [];
  for (const { Id, Names, Mounts } of containers) {
    const name = (Names[0] ?? Id).replace(/^\//, '');
    if (name === keep.name) continue;
    await engine.request({
      method: 'DELETE',
      path: `/containers/${Id}`,
      query: { force: true, v: true },
      signal,
    });
    removed.push(name);
    const volume = Mounts.find((mount) => mount.Destination === '/data')?.Name;
    if (volume === undefined || volume === '' || volume === keep.dataVolume) continue;
    await engine.request({ method: 'DELETE', path: `/volumes/${volume}`, signal });
    removed.push(volume);
  }
  return removed;
}

const containersSchema = z.array(
  z.looseObject({
    Id: z.string(),
    Names: z.array(z.string()),
    Mounts: z.array(
      z.looseObject({ Name: z.string().optional(), Destination: z.string().optional() }),
    ),
  }),
);

async function refuseOccupied(
  { engine, docker }: DeployTarget,
  { name, dataVolume }: ContainerPlan,
  signal: AbortSignal,
): Promise<void> {
  const subjects = [
    [`/containers/${name}/json`, `container ${name}`, `${docker} rm -f ${name}`],
    [`/volumes/${dataVolume}`, `volume ${dataVolume}`, `${docker} volume rm ${dataVolume}`],
  ] as const;
  for (const [path, what, command] of subjects) {
    if (!(await exists(engine, path, what, signal))) continue;
    throw new TomoError(
      'TARGET_OCCUPIED',
      `There is a ${what} on the target already, of this or another agent. Call install_agent with replace: true to take its place, or remove it with "${command}".`,
      { facts: { what } },
    );
  }
}

async function exists(
  engine: DockerEngine,
  path: string,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await engine.request({ path, subject: { kind: 'container', name }, signal });
    return true;
  } catch (error) {
    if (error instanceof TomoError && error.name === 'NOT_FOUND') return false;
    throw error;
  }
}

async function createVolume(
  engine: DockerEngine,
  { dataVolume, labels }: ContainerPlan,
): Promise<void> {
  const body = { Name: dataVolume, Labels: labels };
  await engine.request({
    method: 'POST',
    path: '/volumes/create',
    body,
    signal: AbortSignal.timeout(STEP_MAX_MS),
  });
}

async function createContainer(engine: DockerEngine, plan: ContainerPlan): Promise<void> {
  const body = {
    Image: plan.image,
    Labels: plan.labels,
    Env: Object.entries(plan.environment).map(([name, value]) => `${name}=${value}`),
    HostConfig: {
      // Unlike binds, mounts of what is not there are refused, and leave no directory behind.
      Mounts: plan.mounts.map(({ source, target, readOnly }) => ({
        Type: source.startsWith('/') ? 'bind' : 'volume',
        Source: source,
        Target: target,
        ReadOnly: readOnly,
      })),
      RestartPolicy: { Name: 'always' },
      ...(plan.hostNetwork ? { NetworkMode: 'host' } : {}),
      ...(plan.hostShell === undefined
        ? {}
        : {
            PidMode: 'host',
            CapAdd: plan.hostShell.capabilities,
            SecurityOpt: plan.hostShell.securityOptions,
          }),
    },
  };
  const query = { name: plan.name };
  const subject = { kind: 'container', name: plan.name } as const;
  await engine.request({
    method: 'POST',
    path: '/containers/create',
    query,
    body,
    subject,
    signal: AbortSignal.timeout(STEP_MAX_MS),
  });
}

async function waitForAgent(
  target: DeployTarget,
  plan: ContainerPlan,
  { cameIn, signal, waitMs }: DeployOptions,
): Promise<void> {
  const ended = new AbortController();
  const timeout = AbortSignal.timeout(waitMs);
  const until = AbortSignal.any([signal, timeout, ended.signal]);
  try {
    // Watching the container ends with `until`: by its time-out, the caller, or the agent's coming.
    await Promise.race([cameIn, crashed(target, plan, until)]);
  } catch (error) {
    if (signal.aborted || !timeout.aborted) throw error;
    throw explainFailure(plan, await containerLog(target.engine, plan.name), `${waitMs / 1_000} s`);
  } finally {
    ended.abort();
  }
}

function cancelled(): TomoError {
  return new TomoError('COMMAND_CANCELLED', 'Cancelled; what was made is removed again.');
}

const stateSchema = z.looseObject({
  RestartCount: z.number().default(0),
  State: z.looseObject({ Running: z.boolean(), Restarting: z.boolean().default(false) }),
});

/** Rejects as soon as the agent's process has ended; the restart policy starts it again and again. */
async function crashed(
  { engine }: DeployTarget,
  plan: ContainerPlan,
  signal: AbortSignal,
): Promise<never> {
  for (;;) {
    await delay(WATCH_MS, undefined, { signal });
    const path = `/containers/${plan.name}/json`;
    const { RestartCount, State } = stateSchema.parse(await engine.request({ path, signal }));
    if (State.Running && !State.Restarting && RestartCount === 0) continue;
    throw explainFailure(plan, await containerLog(engine, plan.name), undefined);
  }
}

/** What was made so far, removed in the opposite order; a failure there hides nothing of the cause. */
class Undo {
  readonly #engine: DockerEngine;
  readonly #steps: { path: string; query: Record<string, unknown> }[] = [];

  constructor(engine: DockerEngine) {
    this.#engine = engine;
  }

  add(path: string, query: Record<string, unknown> = {}): void {
    this.#steps.unshift({ path, query });
  }

  async run(): Promise<void> {
    const signal = AbortSignal.timeout(UNDO_MAX_MS);
    for (const step of this.#steps) {
      await this.#engine.request({ method: 'DELETE', ...step, signal }).catch(() => undefined);
    }
  }
}
