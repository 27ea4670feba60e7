import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { runProgram } from './run-program.ts';

const POLL_MS = 20;
const KILL_TIMEOUT_MS = 20_000;

/**
 * A server's network: a namespace of its own, joined to the machine by one link of two addresses.
 * Names and addresses follow from the server's name, so that those of an ended test are found again.
 */
export class ServerNetwork {
  /** The server's end of the link. */
  readonly address: string;
  /** The machine's end. */
  readonly hubAddress: string;
  readonly namespaceFile: string;
  readonly #namespace: string;
  readonly #link: string;

  constructor(serverName: string) {
    const digest = createHash('sha256').update(serverName).digest();
    // One of 16,384 networks of four addresses in 10.213.0.0/16.
    const [third = 0, fourth = 0] = digest;
    const prefix = `10.213.${third}.`;
    const first = fourth & 0b1111_1100;
    this.hubAddress = `${prefix}${first + 1}`;
    this.address = `${prefix}${first + 2}`;
    this.#namespace = `tomo-${serverName}`;
    this.namespaceFile = `/run/netns/${this.#namespace}`;
    // The name of an interface has at most 15 characters.
    this.#link = `tomo${digest.toString('hex', 0, 5)}`;
  }

  /** Without a route to anything but the machine. */
  async create(): Promise<void> {
    const outside = this.#link;
    await runProgram('ip', 'netns', 'add', this.#namespace);
    const peer = ['peer', 'name', 'eth0', 'netns', this.#namespace];
    await runProgram('ip', 'link', 'add', outside, 'type', 'veth', ...peer);
    await runProgram('ip', 'addr', 'add', `${this.hubAddress}/30`, 'dev', outside);
    await runProgram('ip', 'link', 'set', outside, 'up');
    const inside = ['-n', this.#namespace];
    await runProgram('ip', ...inside, 'addr', 'add', `${this.address}/30`, 'dev', 'eth0');
    await runProgram('ip', ...inside, 'link', 'set', 'eth0', 'up');
    await runProgram('ip', ...inside, 'link', 'set', 'lo', 'up');
  }

  /** Kills every process in the namespace and waits until they have gone. */
  async killProcesses(): Promise<void> {
    const deadline = Date.now() + KILL_TIMEOUT_MS;
    for (;;) {
      const pids = await this.#pids();
      if (pids.length === 0) return;
      if (Date.now() > deadline) throw new Error(`processes ${pids.join()} do not end`);
      for (const pid of pids) kill(pid);
      await delay(POLL_MS);
    }
  }

  /** Removes the namespace and the link, whatever of them there is. */
  async remove(): Promise<void> {
    if (await this.#exists()) await runProgram('ip', 'netns', 'del', this.#namespace);
    // Without a namespace the link has gone, or goes a moment later.
    await runProgram('ip', 'link', 'del', this.#link).catch(() => undefined);
  }

  async #pids(): Promise<number[]> {
    if (!(await this.#exists())) return [];
    const pids = await runProgram('ip', 'netns', 'pids', this.#namespace);
    return pids.split('\n').filter(Boolean).map(Number);
  }

  async #exists(): Promise<boolean> {
    const names = await runProgram('ip', 'netns', 'list');
    return names.split('\n').some((line) => line.split(' ')[0] === this.#namespace);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
