import type { Readable } from 'node:stream';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { toDockerError } from '../../docker-engine/docker-errors.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import type { ParamsOf } from '../../protocol/commands/catalogue.ts';
import { readTimeSpan } from '../../protocol/commands/time-param.ts';
import { TomoError } from '../../protocol/errors.ts';
import { LOG_RESULT_MAX_BYTES } from '../../protocol/limits.ts';
import {
  type ContainerLog,
  formOfLog,
  loggedContainerSchema,
  logParser,
  logRequest,
} from '../docker/container-log.ts';
import { EngineOutage } from '../docker/engine-outage.ts';
import { LineWriter, writeLines } from '../docker/line-writer.ts';
import { LogFollower } from '../docker/log-follower.ts';
import { LogLines } from '../docker/log-lines.ts';
import type { LogMessage } from '../docker/log-messages.ts';
import { LogPosition } from '../docker/log-position.ts';
import { timeLimited } from '../docker/time-limited.ts';
import { NewestOutput } from '../shell/newest-output.ts';
import type { CommandContext, Handler } from './handler.ts';

type Params = ParamsOf<'docker.containers.logs'>;

/** The last lines of both outputs in the order in which they came; with `follow` those that come, too. */
export function readContainerLogs(docker: DockerEngine): Handler<'docker.containers.logs'> {
  return async (params, context) => {
    const log = await lookUp(docker, params, context.signal);
    const lines = new LogLines({
      grep: params.grep,
      ignoreCase: params.ignore_case,
      timestamps: params.timestamps,
    });
    if (params.follow) {
      return await timeLimited(context, params.timeout, (limited) =>
        follow(docker, log, lines, limited),
      );
    }
    return await readNewest(docker, log, lines, context.signal);
  };
}

async function lookUp(
  docker: DockerEngine,
  { container, tail, stdout, stderr, ...params }: Params,
  signal: AbortSignal,
): Promise<ContainerLog> {
  const { since, until } = readTimeSpan(params);
  const subject = { kind: 'container', name: container } as const;
  const reply = await docker.request({ path: `/containers/${container}/json`, subject, signal });
  const form = formOfLog(readReply(loggedContainerSchema, reply));
  if (!stdout && (!stderr || form.isTerminal)) {
    throw wrongParams(
      stderr
        ? 'This container has a terminal, whose one output is stdout: leave "stdout": false out.'
        : 'Without stdout and stderr there is nothing to read: leave one of them true.',
    );
  }
  return { ...form, stdout, stderr, tail, since, until };
}

function wrongParams(message: string): TomoError {
  return new TomoError('INVALID_PARAMS', message);
}

/** What is there, at most LOG_RESULT_MAX_BYTES of it. */
async function readNewest(
  docker: DockerEngine,
  log: ContainerLog,
  lines: LogLines,
  signal: AbortSignal,
) {
  const newest = new NewestOutput(LOG_RESULT_MAX_BYTES);
  const parser = logParser(log);
  const take = (messages: Iterable<LogMessage>) => {
    for (const message of messages) {
      const line = lines.take(message);
      if (line !== undefined) newest.push(Buffer.from(line.text));
    }
  };
  await docker.stream({ ...logRequest(log, false), signal }, async (bytes: Readable) => {
    const chunks: AsyncIterable<Buffer> = bytes;
    for await (const chunk of chunks) take(parser.take(chunk));
  });
  take(parser.end());
  for (const { text } of lines.end('')) newest.push(text);
  const text = newest.text({ cutAtEnd: false });
  return newest.truncated ? { logs: fromLineStart(text), truncated: true } : { logs: text };
}

function fromLineStart(text: string): string {
  return text.slice(text.indexOf('\n') + 1);
}

function follow(docker: DockerEngine, log: ContainerLog, lines: LogLines, context: CommandContext) {
  const writer = new LineWriter(context);
  const position = new LogPosition({
    mayRepeat: log.rotatesAt !== undefined,
    isTail: log.tail !== undefined,
  });
  const follower = new LogFollower({
    docker,
    log,
    position,
    sink: writeLines(lines, writer),
    outage: new EngineOutage(context),
    signal: context.signal,
    bearsFirstRefusal: false,
  });
  const subject = { kind: 'container', name: log.container } as const;
  return {
    run: () => follower.run(),
    figures: () => ({ ...writer.written, ...(position.gaps > 0 && { gaps: position.gaps }) }),
    toError: (error: unknown) => toDockerError(error, subject, context.signal),
  };
}
