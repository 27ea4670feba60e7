import { z } from 'zod';
import { defineCommand } from './define-command.ts';
import { eventsParams } from './docker-live-params.ts';
import { noParams } from './fields.ts';

const space = z.object({
  count: z.number().int(),
  size: z.number().describe('Bytes.'),
  reclaimable: z.number().describe('Bytes.'),
});

/** The engine itself. */
export const dockerEngineCommands = {
  'docker.info': defineCommand({
    summary: 'The Docker engine: version, storage, counts, warnings.',
    params: noParams,
    result: z.looseObject({
      version: z.string(),
      api_version: z.string(),
      os: z.string(),
      kernel: z.string(),
      arch: z.string(),
      storage_driver: z.string(),
      root_dir: z.string(),
      cpus: z.number().int(),
      memory: z.number().describe('Bytes.'),
      containers: z.object({
        running: z.number().int(),
        paused: z.number().int(),
        stopped: z.number().int(),
      }),
      images: z.number().int(),
      warnings: z.array(z.string()),
    }),
    access: 'read',
  }),
  'docker.df': defineCommand({
    summary: 'Disk space that images, containers, volumes and the build cache take.',
    params: noParams,
    result: z.looseObject({
      images: space,
      containers: space,
      volumes: space,
      build_cache: space,
    }),
    access: 'read',
    timeoutMs: 120_000,
  }),
  'docker.events': defineCommand({
    summary: 'What happened to containers, images, volumes and networks, or happens with follow.',
    params: eventsParams,
    result: z.looseObject({
      events: z
        .array(
          z.looseObject({
            time: z.string(),
            type: z.string(),
            action: z.string(),
            id: z.string(),
            attributes: z.record(z.string(), z.string()),
          }),
        )
        .optional()
        .describe('Left out with follow. An engine remembers only its last 256 or so.'),
      truncated: z.boolean().optional().describe('Older events were left out.'),
      lines: z.number().int().optional().describe('With follow: events passed on.'),
      ended: z.enum(['until', 'timeout']).optional(),
    }),
    access: 'read',
    streams: 'lossless',
    timeoutParam: { name: 'timeout', kind: 'limit', onlyWith: 'follow' },
  }),
};
