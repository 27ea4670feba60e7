import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { labels, listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';

/** On the agent's container, whoever made it: nothing without it is ever stopped or removed as ours. */
export const AGENT_LABEL = 'tomo.agent';
/** On containers that an agent made for a short piece of work. */
export const HELPER_LABEL = 'tomo.helper';
/** The value of both. */
export const LABEL_SET = '1';

/** The container that this agent runs in, as the engine describes it. */
export interface ContainerFacts {
  readonly id: string;
  readonly name: string;
  /** Id of its image, not the name: that may have moved on. */
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Name of the volume that holds DATA_DIR; null if it is anything else. */
  readonly volume: string | null;
  readonly mounts: readonly { readonly source: string; readonly destination: string }[];
  readonly user: string;
  readonly networkMode: string;
  readonly pidMode: string;
  /** Host settings without which another container of this image may not use the engine's socket. */
  readonly permissions: Readonly<Record<string, unknown>>;
}

interface OwnContainerOptions {
  readonly engine: DockerEngine;
  readonly dataDir: string;
  /** False for an agent that is a process of its own or another program's child. */
  readonly isContained: boolean;
  readonly processDirectory?: string;
  readonly hostname?: string;
}

/** Finds the agent's own container, and asks the engine about it until that knows it. */
export class OwnContainer {
  readonly #options: OwnContainerOptions;
  #facts: ContainerFacts | undefined;

  constructor(options: OwnContainerOptions) {
    this.#options = options;
  }

  /**
   * Undefined outside a container, and when the engine knows no such container.
   * @throws TomoError as DockerEngine.request does
   */
  async facts(signal: AbortSignal): Promise<ContainerFacts | undefined> {
    // Only what was found is kept: an engine that does not know the container yet is asked again.
    this.#facts ??= await this.#ask(signal);
    return this.#facts;
  }

  /**
   * The facts of a container that install_agent made. `instead` is what a person can do otherwise.
   * @throws TomoError NOT_CONTAINERISED
   */
  async ours(instead: string, signal: AbortSignal): Promise<ContainerFacts> {
    const facts = await this.facts(signal).catch((cause: unknown) => {
      throw notContainerised('its engine does not answer', instead, cause);
    });
    if (facts === undefined) {
      throw notContainerised('it does not run in a container that its engine knows', instead);
    }
    if (facts.labels[AGENT_LABEL] === LABEL_SET) return facts;
    const label = `${AGENT_LABEL}=${LABEL_SET}`;
    throw notContainerised(`its container ${facts.name} lacks the label ${label}`, instead);
  }

  async #ask(signal: AbortSignal): Promise<ContainerFacts | undefined> {
    const { engine, dataDir, isContained } = this.#options;
    const id = isContained ? await this.#findId() : undefined;
    if (id === undefined) return undefined;
    try {
      const subject = { kind: 'container', name: id } as const;
      const reply = await engine.request({ path: `/containers/${id}/json`, subject, signal });
      return describe(readReply(inspectSchema, reply), dataDir);
    } catch (error) {
      // The engine this agent is to use may be another machine's.
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #findId(): Promise<string | undefined> {
    const { processDirectory = '/proc/self', hostname = os.hostname() } = this.#options;
    const [mounts, groups] = await Promise.all([
      readFile(path.join(processDirectory, 'mountinfo'), 'utf8').catch(() => ''),
      readFile(path.join(processDirectory, 'cgroup'), 'utf8').catch(() => ''),
    ]);
    return idInMounts(mounts) ?? groups.match(FULL_ID)?.at(-1) ?? SHORT_ID.exec(hostname)?.[0];
  }
}

const FULL_ID = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;
const SHORT_ID = /^[0-9a-f]{12}$/;
// Files that engines mount into a container from the folder that is named after it.
const ENGINE_FILES = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf'];

/** Only these mount points: below /host other containers' folders may be mounted too. */
function idInMounts(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    // proc(5): mount id, parent, device, root within the file system, mount point.
    const [, , , root = '', mountPoint = ''] = line.split(' ');
    const ids = ENGINE_FILES.includes(mountPoint) ? root.match(FULL_ID) : null;
    if (ids !== null) return ids.at(-1);
  }
  return undefined;
}

const inspectSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Image: z.string(),
  Mounts: listOf(
    z.object({
      Type: z.string().nullish(),
      Name: z.string().nullish(),
      Source: z.string(),
      Destination: z.string(),
    }),
  ),
  Config: z.object({ Labels: labels, User: z.string().nullish() }),
  HostConfig: z.object({
    NetworkMode: z.string().nullish(),
    PidMode: z.string().nullish(),
    SecurityOpt: listOf(z.string()),
    GroupAdd: listOf(z.string()),
    UsernsMode: z.string().nullish(),
  }),
});

function describe(found: z.output<typeof inspectSchema>, dataDir: string): ContainerFacts {
  const { NetworkMode, PidMode, SecurityOpt, GroupAdd, UsernsMode } = found.HostConfig;
  const data = found.Mounts.find(
    ({ Type, Destination }) =>
      Type === 'volume' && path.resolve(Destination) === path.resolve(dataDir),
  );
  return {
    id: found.Id,
    name: found.Name.replace(/^\//, ''),
    image: found.Image,
    labels: found.Config.Labels,
    volume: data?.Name ?? null,
    mounts: found.Mounts.map(({ Source, Destination }) => ({
      source: Source,
      destination: Destination,
    })),
    user: found.Config.User ?? '',
    networkMode: NetworkMode ?? 'default',
    pidMode: PidMode ?? '',
    permissions: { SecurityOpt, GroupAdd, UsernsMode: UsernsMode ?? '' },
  };
}

function notContainerised(why: string, instead: string, cause?: unknown): TomoError {
  return new TomoError('NOT_CONTAINERISED', `The agent cannot do this: ${why}. ${instead}`, {
    cause,
  });
}
