import { expect, it } from 'vitest';
import { diskUsageSchema } from './docker-disk-usage.ts';

const nothing = { count: 0, size: 0, reclaimable: 0 };

it('adds up the lists of engines before API 1.52', () => {
  const reply = {
    LayersSize: 100,
    Images: [
      { Size: 60, SharedSize: 20, Containers: 1 },
      { Size: 40, SharedSize: -1, Containers: 0 },
    ],
    Containers: [
      { SizeRw: 5, State: 'running' },
      { SizeRw: 7, State: 'exited' },
      { State: 'created' },
    ],
    Volumes: [
      { UsageData: { Size: 30, RefCount: 1 } },
      { UsageData: { Size: 50, RefCount: 0 } },
      { UsageData: { Size: -1, RefCount: 0 } },
      {},
    ],
    BuildCache: [
      { Size: 3, InUse: true, Shared: false },
      { Size: 4, InUse: false, Shared: false },
      { Size: 9, InUse: false, Shared: true },
    ],
  };
  expect(diskUsageSchema.parse(reply)).toEqual({
    images: { count: 2, size: 100, reclaimable: 60 },
    containers: { count: 3, size: 12, reclaimable: 7 },
    volumes: { count: 4, size: 80, reclaimable: 50 },
    build_cache: { count: 3, size: 7, reclaimable: 4 },
  });
});

it('reads the sums of engines from API 1.52', () => {
  const usage = { TotalCount: 2, TotalSize: 100, Reclaimable: 40, ActiveCount: 1 };
  const some = { count: 2, size: 100, reclaimable: 40 };
  expect(diskUsageSchema.parse({ ImageUsage: usage, VolumeUsage: usage })).toEqual({
    images: some,
    containers: nothing,
    volumes: some,
    build_cache: nothing,
  });
});

it('reads an engine that holds nothing', () => {
  const empty = { LayersSize: 0, Images: null, Containers: null, Volumes: null, BuildCache: null };
  expect(diskUsageSchema.parse(empty)).toEqual({
    images: nothing,
    containers: nothing,
    volumes: nothing,
    build_cache: nothing,
  });
});
