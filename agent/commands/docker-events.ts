import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { toDockerError } from '../../docker-engine/docker-errors.ts';
import type { ParamsOf } from '../../protocol/commands/catalogue.ts';
import { readTimeSpan } from '../../protocol/commands/time-param.ts';
import { ENGINE_EVENTS_MAX_BYTES, ENGINE_EVENTS_MAX_COUNT } from '../../protocol/limits.ts';
import { nowNanos } from '../docker/engine-time.ts';
import {
  EventFollower,
  readEvents,
  type ShownEvent,
  type WantedEvents,
} from '../docker/event-follower.ts';
import { LineWriter } from '../docker/line-writer.ts';
import { timeLimited } from '../docker/time-limited.ts';
import type { CommandContext, Handler } from './handler.ts';

const DEFAULT_SPAN_NANOS = 600_000_000_000n;

/** What the engine remembers of a span of time, or what happens from now on. */
export function engineEvents(docker: DockerEngine): Handler<'docker.events'> {
  return async (params, context) => {
    const span = readTimeSpan(params);
    const filters = filterLists(params.filters);
    if (params.follow) {
      return await timeLimited(context, params.timeout, (limited) =>
        follow(docker, { ...span, filters }, limited),
      );
    }
    const now = nowNanos();
    const until = span.until === undefined || span.until > now ? now : span.until;
    const since = span.since ?? until - DEFAULT_SPAN_NANOS;
    return await readNewest(docker, { since, until, filters }, context.signal);
  };
}

function filterLists(filters: ParamsOf<'docker.events'>['filters']): WantedEvents['filters'] {
  const lists: Record<string, readonly string[]> = {};
  for (const [name, value] of Object.entries(filters ?? {})) {
    lists[name] = typeof value === 'string' ? [value] : value;
  }
  return lists;
}

async function readNewest(docker: DockerEngine, wanted: WantedEvents, signal: AbortSignal) {
  const kept: { readonly event: ShownEvent; readonly bytes: number }[] = [];
  let bytes = 0;
  let truncated = false;
  await readEvents(docker, wanted, signal, (event) => {
    const size = Buffer.byteLength(JSON.stringify(event));
    kept.push({ event, bytes: size });
    bytes += size;
    while (kept.length > ENGINE_EVENTS_MAX_COUNT || bytes > ENGINE_EVENTS_MAX_BYTES) {
      bytes -= kept.shift()?.bytes ?? 0;
      truncated = true;
    }
  });
  const events = kept.map(({ event }) => event);
  return truncated ? { events, truncated } : { events };
}

function follow(docker: DockerEngine, wanted: WantedEvents, context: CommandContext) {
  const writer = new LineWriter(context);
  const follower = new EventFollower(docker, wanted, context, (event) =>
    writer.write([{ source: 'stdout', text: Buffer.from(`${JSON.stringify(event)}\n`) }]),
  );
  return {
    run: async () => {
      await follower.run();
      return 'until' as const;
    },
    figures: () => ({ lines: writer.written.lines }),
    toError: (error: unknown) => toDockerError(error, { kind: 'engine' }, context.signal),
  };
}
