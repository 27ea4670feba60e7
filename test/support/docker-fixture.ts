import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { ParamsInputOf } from '../../protocol/commands/catalogue.ts';
import { type Call, type DirectCall, directCall } from './direct-call.ts';
import { WholePath } from './whole-path-call.ts';
import { WORKLOAD_IMAGE } from './workload-image.ts';

const run = promisify(execFile);

/** A container's script goes on behind this when the test calls `letGo`. */
export const HOLD = 'until [ -e /go ]; do usleep 20000; done';

/** What one test file makes on the engine, and the docker command to compare with. */
export class DockerFixture {
  /** The whole path: MCP client, hub, agent process, engine. */
  readonly call: Call;
  /** The handlers alone, for what the tools do not show: facts, cancelled beforehand, huge results. */
  readonly direct: DirectCall;
  readonly #path: WholePath;
  readonly #host: string;
  readonly #prefix = `tomo-${randomBytes(4).toString('hex')}-`;

  constructor(host: string) {
    this.#host = host;
    this.#path = new WholePath(host);
    this.call = this.#path.call;
    this.direct = directCall(host);
  }

  /** A name of this file's own; everything of such a name goes with `cleanUp`. */
  name(suffix: string): string {
    return this.#prefix + suffix;
  }

  /** Output of the docker command, without the last newline. */
  async cli(...args: string[]): Promise<string> {
    const { stdout } = await run('docker', ['-H', this.#host, ...args]);
    return stdout.trimEnd();
  }

  /** Runs a container of the workload image and answers its name. */
  async run(
    suffix: string,
    params: Partial<ParamsInputOf<'docker.containers.run'>> = {},
  ): Promise<string> {
    const name = this.name(suffix);
    await this.call('docker.containers.run', { image: WORKLOAD_IMAGE, name, ...params });
    return name;
  }

  /** See HOLD. */
  async letGo(name: string): Promise<void> {
    await this.cli('exec', name, 'touch', '/go');
  }

  async cleanUp(): Promise<void> {
    const filter = ['--filter', `name=${this.#prefix}`, '-q'];
    await this.#remove(['rm', '-fv'], await this.cli('ps', '-a', ...filter));
    await this.#remove(['volume', 'rm', '-f'], await this.cli('volume', 'ls', ...filter));
    await this.#remove(['network', 'rm'], await this.cli('network', 'ls', ...filter));
    await this.#path[Symbol.asyncDispose]();
  }

  async #remove(command: string[], ids: string): Promise<void> {
    if (ids !== '') await this.cli(...command, ...ids.split('\n'));
  }
}
