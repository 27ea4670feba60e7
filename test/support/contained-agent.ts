import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { HubStandIn } from './hub-stand-in.ts';
import { runProgram } from './run-program.ts';

const POLL_MS = 100;
const READY_TIMEOUT_MS = 30_000;

/** An agent in a container of a real engine, with a hub stand-in; everything of it has one prefix. */
export class ContainedAgent implements AsyncDisposable {
  static readonly CODE = 'AAAA-BBBB-CCCC-DDDD';

  readonly hubs: HubStandIn;
  readonly name = `tomo-agent-${randomBytes(3).toString('hex')}`;
  readonly volume = `${this.name}-data`;
  readonly #host: string;
  readonly #image: string;
  #id = '';

  private constructor(hubs: HubStandIn, host: string, image: string) {
    this.hubs = hubs;
    this.#host = host;
    this.#image = image;
  }

  /** @param hubAddress where the containers of that engine reach this machine */
  static async create(host: string, image: string, hubAddress = '127.0.0.1') {
    return new ContainedAgent(await HubStandIn.start(0, hubAddress), host, image);
  }

  /** Runs the container as install_agent does, on the network of the engine's machine. */
  async run(...more: string[]): Promise<void> {
    const flags = ['--name', this.name, '--label', 'tomo.agent=1', '--restart', 'always'];
    const mounts = [`${this.#socket}:/var/run/docker.sock`, '/:/host:ro', `${this.volume}:/data`];
    const settings = [`SERVER_URL=${this.hubs.url}`, `REGISTER_CODE=${ContainedAgent.CODE}`];
    flags.push('--network', 'host', ...mounts.flatMap((mount) => ['-v', mount]));
    flags.push(...settings.flatMap((setting) => ['-e', setting]), ...more);
    this.#id = await this.docker('run', '-d', ...flags, this.#image);
  }

  /** Output of the docker command, without the last newline. */
  async docker(...args: string[]): Promise<string> {
    return (await runProgram('docker', '-H', this.#host, ...args)).trim();
  }

  async inspect(format: string): Promise<string> {
    return await this.docker('inspect', '--format', format, this.name);
  }

  async logs(): Promise<string> {
    const command = 'docker -H "$1" logs "$2" 2>&1';
    return await runProgram('sh', '-c', command, 'logs', this.#host, this.name);
  }

  /** Containers and volumes of this agent that are there, its helpers too. */
  async left(): Promise<string[]> {
    const list = ['ps', '-a', '--no-trunc', '--format', '{{.Names}} {{.Command}}'];
    const containers = await this.docker(...list);
    const volumes = await this.docker('volume', 'ls', '-q');
    return [...containers.split('\n'), ...volumes.split('\n')]
      .filter((line) => line.startsWith(this.name) || line.includes(this.#id))
      .map((line) => line.replace(/ .*/, ''));
  }

  async until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await isSo())) {
      if (Date.now() > deadline) throw new Error(`not in time: ${what}\n${await this.logs()}`);
      await delay(POLL_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const remove = 'docker -H "$1" rm -fv "$2"; docker -H "$1" volume rm -f "$2-data"';
    await runProgram('sh', '-c', `{ ${remove}; } 2>/dev/null || true`, 'rm', this.#host, this.name);
    await this.hubs[Symbol.asyncDispose]();
  }

  /** As the engine's own machine names it. */
  get #socket(): string {
    const path = this.#host.replace(/^unix:\/\//, '');
    return path.includes('/tomo-server-') ? '/var/run/docker.sock' : path;
  }
}
