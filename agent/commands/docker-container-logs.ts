import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { LOG_RESULT_MAX_BYTES } from '../../protocol/limits.ts';
import { demultiplex, type OutputPiece } from '../docker/docker-frames.ts';
import { NewestOutput } from '../newest-output.ts';
import type { Handler } from './handler.ts';

/** The last lines of both outputs in the order in which they came, at most LOG_RESULT_MAX_BYTES. */
export function readContainerLogs(docker: DockerEngine): Handler<'docker.containers.logs'> {
  return async ({ container, tail }, { signal }) => {
    const subject = { kind: 'container', name: container } as const;
    const path = `/containers/${container}`;
    const state = await docker.request({ path: `${path}/json`, subject, signal });
    const { Config } = readReply(ttySchema, state);
    const query = { stdout: true, stderr: true, timestamps: true, tail };
    const newest = new NewestOutput(LOG_RESULT_MAX_BYTES);
    await docker.stream({ path: `${path}/logs`, query, subject, signal }, (bytes) =>
      collect(Config.Tty ? terminalOutput(bytes) : demultiplex(bytes), newest),
    );
    const text = newest.text({ cutAtEnd: false });
    return newest.truncated ? { logs: fromLineStart(text), truncated: true } : { logs: text };
  };
}

const ttySchema = z.object({ Config: z.object({ Tty: z.boolean() }) });

/** A terminal has one output, and the engine does not multiplex it. */
async function* terminalOutput(bytes: Readable): AsyncGenerator<OutputPiece> {
  const chunks: AsyncIterable<Buffer> = bytes;
  for await (const data of chunks) yield { source: 'stdout', data };
}

/** Keeps characters whole that one output has begun when the other comes between. */
async function collect(pieces: AsyncIterable<OutputPiece>, newest: NewestOutput): Promise<void> {
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  for await (const { source, data } of pieces) {
    newest.push(Buffer.from(decoders[source].write(data)));
  }
  newest.push(Buffer.from(decoders.stdout.end() + decoders.stderr.end()));
}

function fromLineStart(text: string): string {
  return text.slice(text.indexOf('\n') + 1);
}
