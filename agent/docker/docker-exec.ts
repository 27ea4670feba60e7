import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import { demultiplex, type OutputPiece } from './docker-frames.ts';

/** A command inside a container, as the engine takes it. */
export interface ExecSpec {
  readonly container: string;
  readonly command: readonly string[];
  /** The container's own user unless given. */
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  /** NAME=value. */
  readonly env?: readonly string[];
}

export interface ExecState {
  readonly running: boolean;
  readonly exitCode: number;
  /** False for a command of which no process ever came to be. */
  readonly started: boolean;
}

/** Makes an exec ready to start; answers its id. */
export async function createExec(
  docker: DockerEngine,
  spec: ExecSpec,
  signal: AbortSignal,
): Promise<string> {
  const reply = await docker.request({
    method: 'POST',
    path: `/containers/${spec.container}/exec`,
    body: {
      Cmd: spec.command,
      User: spec.user,
      WorkingDir: spec.workdir,
      Env: spec.env,
      AttachStdout: true,
      AttachStderr: true,
    },
    subject: { kind: 'container', name: spec.container },
    signal,
  });
  return readReply(createdSchema, reply).Id;
}

/** Starts an exec and hands its output to `take` until it has ended. */
export async function followExec(
  docker: DockerEngine,
  id: string,
  signal: AbortSignal,
  take: (piece: OutputPiece) => void,
): Promise<ExecState> {
  const request = { path: `/exec/${id}/start`, body: { Detach: false, Tty: false } };
  await docker.stream({ method: 'POST', ...request, signal }, async (bytes) => {
    for await (const piece of demultiplex(bytes)) take(piece);
  });
  return ended(docker, id, signal);
}

/** A command may close its output and go on. */
async function ended(docker: DockerEngine, id: string, signal: AbortSignal): Promise<ExecState> {
  for (;;) {
    const state = await execState(docker, id, signal);
    if (!state.running) return state;
    await delay(POLL_MS, undefined, { signal });
  }
}

export async function execState(
  docker: DockerEngine,
  id: string,
  signal: AbortSignal,
): Promise<ExecState> {
  const reply = await docker.request({ path: `/exec/${id}/json`, signal });
  const { Running, ExitCode, Pid } = readReply(stateSchema, reply);
  return { running: Running, exitCode: ExitCode ?? -1, started: (Pid ?? 0) > 0 };
}

/** The engine could not start the command: no such program, or not executable. */
export function notStarted(container: string, words: string, cause?: unknown): TomoError {
  return new TomoError(
    'EXEC_FAILED',
    `The command could not be started in container ${container}: ${words.trim()}. Check that its program is in the container; docker.containers.top and {"command": ["ls", "/bin"]} help.`,
    { cause, facts: { container } },
  );
}

const POLL_MS = 50;

const createdSchema = z.object({ Id: z.string() });
const stateSchema = z.object({
  Running: z.boolean(),
  ExitCode: z.number().nullish(),
  Pid: z.number().nullish(),
});
