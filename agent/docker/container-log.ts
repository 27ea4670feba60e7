import { z } from 'zod';
import type { EngineRequest } from '../../docker-engine/docker-engine.ts';
import { engineQueryTime } from './engine-time.ts';
import { FramedLog, type LogParser, TerminalLog, type UnendedLine } from './log-messages.ts';
import { rotatesAtBytes } from './log-pace.ts';

/** What is wanted of the log of one container. */
export interface ContainerLog {
  /** Its id: the name may change. */
  readonly container: string;
  readonly isTerminal: boolean;
  /** See `rotatesAtBytes`. */
  readonly rotatesAt: number | undefined;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Lines of the log so far, counted from the end; undefined for all. */
  readonly tail: number | undefined;
  /** Nanoseconds since 1970. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
}

/** What says of a container, in the answer to its inspection, how its log is kept. */
export const loggedContainerSchema = z.object({
  Id: z.string(),
  Config: z.object({ Tty: z.boolean() }),
  HostConfig: z.object({
    LogConfig: z
      .object({ Type: z.string(), Config: z.record(z.string(), z.string()).nullish() })
      .nullish(),
  }),
});

export function formOfLog({
  Id,
  Config,
  HostConfig,
}: z.output<typeof loggedContainerSchema>): Pick<
  ContainerLog,
  'container' | 'isTerminal' | 'rotatesAt'
> {
  const { Type = '', Config: settings } = HostConfig.LogConfig ?? {};
  const rotatesAt = rotatesAtBytes({ Type, Config: settings ?? {} });
  return { container: Id, isTerminal: Config.Tty, rotatesAt };
}

/** Asks the engine for a log with timestamps. */
export function logRequest(log: ContainerLog, follow: boolean): EngineRequest {
  const { container, stdout, stderr, tail = 'all', since, until } = log;
  return {
    path: `/containers/${container}/logs`,
    query: {
      stdout,
      stderr,
      tail,
      follow,
      timestamps: true,
      ...(since !== undefined && { since: engineQueryTime(since) }),
      ...(until !== undefined && { until: engineQueryTime(until) }),
    },
    subject: { kind: 'container', name: container },
  };
}

/** For the answer to that. */
export function logParser(log: ContainerLog, unended?: UnendedLine): LogParser {
  return log.isTerminal ? new TerminalLog(unended) : new FramedLog();
}
