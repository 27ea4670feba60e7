import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { toDockerError } from '../../docker-engine/docker-errors.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { containerFigures, statsSchema } from '../docker/container-figures.ts';
import { LineWriter } from '../docker/line-writer.ts';
import { streamStats } from '../docker/stats-stream.ts';
import { timeLimited } from '../docker/time-limited.ts';
import type { CommandContext, Handler } from './handler.ts';

/**
 * One sample over about a second, counted as `docker stats` does, all zero for a stopped container; or
 * one after the other.
 */
export function readContainerStats(docker: DockerEngine): Handler<'docker.containers.stats'> {
  return async ({ container, stream, timeout }, context) => {
    const subject = { kind: 'container', name: container } as const;
    const { signal } = context;
    if (stream) {
      const path = `/containers/${container}/json`;
      const { Id } = readReply(idSchema, await docker.request({ path, subject, signal }));
      return await timeLimited(context, timeout, (limited) => followStats(docker, Id, limited));
    }
    const path = `/containers/${container}/stats`;
    const reply = await docker.request({ path, query: { stream: false }, subject, signal });
    return figuresOf(readReply(statsSchema, reply));
  };
}

const idSchema = z.object({ Id: z.string() });

const NO_CPU = { cpu_usage: {} };
const NO_STATS = { cpu_stats: NO_CPU, precpu_stats: NO_CPU, memory_stats: {} };

/** Writes a line of JSON per sample. */
function followStats(docker: DockerEngine, id: string, context: CommandContext) {
  let last = figuresOf(statsSchema.parse(NO_STATS));
  const writer = new LineWriter(context);
  const take = async (reply: unknown) => {
    const stats = readReply(statsSchema, reply);
    // The first of a stream has nothing to count processor time against.
    if (stats.precpu_stats.system_cpu_usage === 0) return;
    last = figuresOf(stats);
    const line = JSON.stringify({ time: new Date().toISOString(), ...last });
    await writer.write([{ source: 'stdout', text: Buffer.from(`${line}\n`) }]);
  };
  return {
    run: async () => {
      await streamStats(docker, id, context, take);
      return 'container_removed' as const;
    },
    figures: () => ({ ...last, samples: writer.written.lines }),
    toError: (error: unknown) =>
      toDockerError(error, { kind: 'container', name: id }, context.signal),
  };
}

function figuresOf(stats: z.output<typeof statsSchema>) {
  return containerFigures(stats, stats.precpu_stats);
}
