import type { EngineRequest } from '../../docker-engine/docker-engine.ts';
import { engineQueryTime } from './engine-time.ts';
import { FramedLog, type LogParser, TerminalLog, type UnendedLine } from './log-messages.ts';

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
