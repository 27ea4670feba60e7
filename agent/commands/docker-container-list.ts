import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import {
  count,
  isoTime,
  labels,
  listOf,
  readReply,
  shortId,
} from '../../docker-engine/docker-reply.ts';
import type { Handler } from './handler.ts';

/** Containers as docker-py lists them, with ports, labels and the engine's words on their state. */
export function listContainers(docker: DockerEngine): Handler<'docker.containers.list'> {
  return async ({ all }, { signal }) => {
    const reply = await docker.request({ path: '/containers/json', query: { all }, signal });
    return readReply(listOf(containerSchema), reply).map(describe);
  };
}

const portSchema = z.object({
  IP: z.string().nullish(),
  PrivatePort: z.number(),
  PublicPort: z.number().nullish(),
  Type: z.string(),
});

export const containerSchema = z.object({
  Id: z.string(),
  Names: listOf(z.string()),
  Image: z.string(),
  Created: count,
  State: z.string(),
  Status: z.string(),
  Labels: labels,
  Ports: listOf(portSchema),
});

type Container = z.output<typeof containerSchema>;

export function describe(container: Container) {
  const { Id, Names, Image, Created, State, Status, Labels, Ports } = container;
  return {
    id: shortId(Id),
    name: ownName(Names) ?? shortId(Id),
    image: Image.startsWith('sha256:') ? shortId(Image) : Image,
    status: State,
    created: isoTime(Created),
    status_text: Status,
    health: health(Status),
    ports: Ports.map(describePort),
    labels: Labels,
  };
}

/** Names with a second slash are those that other, linked containers know this one by. */
function ownName(names: readonly string[]): string | undefined {
  return names.find((name) => !name.slice(1).includes('/'))?.replace(/^\//, '');
}

/** Lists say it only within the text: "Up 3 minutes (healthy)". */
function health(statusText: string): string | null {
  return /\((?:health: )?(healthy|unhealthy|starting)\)$/.exec(statusText)?.[1] ?? null;
}

function describePort({ IP, PrivatePort, PublicPort, Type }: z.output<typeof portSchema>) {
  const address = IP?.includes(':') === true ? `[${IP}]` : (IP ?? '');
  const published = PublicPort !== undefined && PublicPort !== null && PublicPort !== 0;
  return {
    container: `${PrivatePort}/${Type}`,
    host: published ? `${address}:${PublicPort}` : null,
  };
}
