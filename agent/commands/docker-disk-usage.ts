import { z } from 'zod';
import { count, listOf } from '../../docker-engine/docker-reply.ts';

interface Space {
  count: number;
  /** Bytes. */
  size: number;
  /** Bytes. */
  reclaimable: number;
}

/** From API 1.52 the engine adds up itself. */
const usage = z.object({ TotalCount: count, TotalSize: count, Reclaimable: count });

const summed = z
  .object({
    ImageUsage: usage,
    ContainerUsage: usage.nullish(),
    VolumeUsage: usage.nullish(),
    BuildCacheUsage: usage.nullish(),
  })
  .transform((reply) => ({
    images: summedSpace(reply.ImageUsage),
    containers: summedSpace(reply.ContainerUsage),
    volumes: summedSpace(reply.VolumeUsage),
    build_cache: summedSpace(reply.BuildCacheUsage),
  }));

function summedSpace(total: z.output<typeof usage> | null | undefined): Space {
  return {
    count: total?.TotalCount ?? 0,
    size: total?.TotalSize ?? 0,
    reclaimable: total?.Reclaimable ?? 0,
  };
}

const imageSchema = z.object({ Size: count, SharedSize: count, Containers: count });
const containerSchema = z.object({ SizeRw: count, State: z.string() });
const volumeSchema = z.object({
  UsageData: z.object({ Size: z.number(), RefCount: z.number() }).nullish(),
});
const cacheSchema = z.object({
  Size: count,
  InUse: z.boolean().nullish(),
  Shared: z.boolean().nullish(),
});

/** Before, it lists everything; these are the sums of `docker system df`. */
const listed = z
  .object({
    LayersSize: count,
    Images: listOf(imageSchema),
    Containers: listOf(containerSchema),
    Volumes: listOf(volumeSchema),
    BuildCache: listOf(cacheSchema),
  })
  .transform((reply) => ({
    images: imageSpace(reply.LayersSize, reply.Images),
    containers: containerSpace(reply.Containers),
    volumes: volumeSpace(reply.Volumes),
    build_cache: cacheSpace(reply.BuildCache),
  }));

/** The answer of GET /system/df, as docker.df gives it. */
export const diskUsageSchema = z.union([summed, listed]);

/** Layers that several images share count once, and are kept while any image in use has them. */
function imageSpace(layersSize: number, images: readonly z.output<typeof imageSchema>[]): Space {
  const used = images
    .filter(({ Containers }) => Containers > 0)
    .reduce((sum, { Size, SharedSize }) => sum + Size - Math.max(0, SharedSize), 0);
  return { count: images.length, size: layersSize, reclaimable: Math.max(0, layersSize - used) };
}

const ACTIVE_STATES: ReadonlySet<string> = new Set(['running', 'paused', 'restarting']);

function containerSpace(containers: readonly z.output<typeof containerSchema>[]): Space {
  const sized = containers.map(({ SizeRw, State }) => ({
    size: SizeRw,
    used: ACTIVE_STATES.has(State),
  }));
  return spaceOf(sized);
}

/** The size of a volume of another driver than `local` is unknown, -1. */
function volumeSpace(volumes: readonly z.output<typeof volumeSchema>[]): Space {
  const sized = volumes.map(({ UsageData }) => ({
    size: Math.max(0, UsageData?.Size ?? 0),
    used: UsageData?.RefCount !== 0,
  }));
  return spaceOf(sized);
}

function cacheSpace(records: readonly z.output<typeof cacheSchema>[]): Space {
  const sized = records.map(({ Size, InUse, Shared }) => ({
    size: Shared === true ? 0 : Size,
    used: InUse === true,
  }));
  return spaceOf(sized);
}

function spaceOf(items: readonly { size: number; used: boolean }[]): Space {
  const sum = (some: typeof items) => some.reduce((total, { size }) => total + size, 0);
  return {
    count: items.length,
    size: sum(items),
    reclaimable: sum(items.filter(({ used }) => !used)),
  };
}
