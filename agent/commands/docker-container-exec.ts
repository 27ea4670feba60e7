import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { TomoError } from '../../protocol/errors.ts';
import { EXEC_OUTPUT_MAX_BYTES } from '../../protocol/limits.ts';
import { pairs } from '../docker/docker-create-body.ts';
import { createExec, type ExecState, followExec, notStarted } from '../docker/docker-exec.ts';
import { killExec, newExecMark } from '../docker/docker-exec-kill.ts';
import type { OutputPiece } from '../docker/docker-frames.ts';
import { NewestOutput } from '../shell/newest-output.ts';
import type { Handler } from './handler.ts';

type Exec = Handler<'docker.containers.exec'>;

/** Runs a command in a container; at its time limit or when cancelled its processes are killed. */
export function execInContainer(docker: DockerEngine): Exec {
  return async (params, { signal, output: live }) => {
    const { container, user, workdir, timeout } = params;
    const command =
      typeof params.command === 'string' ? ['sh', '-c', params.command] : params.command;
    const mark = newExecMark();
    const env = [...(pairs(params.env) ?? []), mark];
    const id = await createExec(docker, { container, command, user, workdir, env }, signal);

    const output = new ExecOutput();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout * 1_000)]);
    try {
      const state = await followExec(docker, id, limit, (piece) => {
        output.take(piece);
        void live.write(piece.source, piece.data);
      });
      return finished(container, state, output);
    } catch (error) {
      if (!limit.aborted) throw asStartFailure(container, error);
      const killed = await killExec(docker, { id, mark, container, user });
      if (signal.aborted) throw cancelled(container, killed, error);
      return { ...output.texts({ cutAtEnd: true }), exit_code: -1, timed_out: true, killed };
    }
  };
}

class ExecOutput {
  readonly #stdout = new NewestOutput(EXEC_OUTPUT_MAX_BYTES);
  readonly #stderr = new NewestOutput(EXEC_OUTPUT_MAX_BYTES);

  take({ source, data }: OutputPiece): void {
    (source === 'stdout' ? this.#stdout : this.#stderr).push(data);
  }

  texts(cut: { cutAtEnd: boolean }): { stdout: string; stderr: string; truncated: boolean } {
    return {
      stdout: this.#stdout.text(cut),
      stderr: this.#stderr.text(cut),
      truncated: this.#stdout.truncated || this.#stderr.truncated,
    };
  }
}

// What shells and engines answer for a program that is not executable, or not there.
const NOT_STARTED_CODES: ReadonlySet<number> = new Set([126, 127]);

function finished(container: string, state: ExecState, output: ExecOutput) {
  const texts = output.texts({ cutAtEnd: false });
  // Up to API 1.41 the engine reports a failed start as output of the command.
  if (!state.started && NOT_STARTED_CODES.has(state.exitCode) && texts.stderr === '') {
    throw notStarted(container, texts.stdout);
  }
  return { ...texts, exit_code: state.exitCode, timed_out: false };
}

/** Later engines refuse the start itself. */
function asStartFailure(container: string, error: unknown): unknown {
  if (!(error instanceof TomoError) || error.name !== 'DOCKER_REFUSED') return error;
  return notStarted(container, String(error.facts['words']), error);
}

function cancelled(container: string, killed: boolean, cause: unknown): TomoError {
  const fate = killed
    ? 'its processes were killed'
    : 'its processes may still run; docker.containers.top shows them';
  return new TomoError('COMMAND_CANCELLED', `The command was cancelled: ${fate}.`, {
    cause,
    facts: { container, killed },
  });
}
