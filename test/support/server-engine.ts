import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the machine reaches a server's engine: a second socket, in a folder that both see. */
export function engineSocket(directory: string): string {
  return join(directory, 'docker.sock');
}

/** The command that starts a server's engine there, on its own /var/run/docker.sock too. */
export function engineCommand(directory: string): string {
  const flags = [
    `--data-root ${directory}/data`,
    '--exec-root /run/docker',
    '--pidfile /run/docker.pid',
    '-H unix:///var/run/docker.sock',
    `-H unix://${engineSocket(directory)}`,
    // The machine's own configuration, if there is one, is not for this engine.
    `--config-file ${directory}/daemon.json`,
    '--bip 10.214.0.1/24',
  ];
  return `dockerd ${flags.join(' ')} </dev/null >>${directory}/dockerd.log 2>&1 &`;
}

/** Removes the control groups of containers whose engine was killed with them. */
export async function removeControlGroups(directory: string): Promise<void> {
  const containers = await readdir(join(directory, 'data', 'containers')).catch(() => []);
  const parents = ['/sys/fs/cgroup/docker'];
  for (const controller of await readdir('/sys/fs/cgroup').catch(() => [])) {
    parents.push(join('/sys/fs/cgroup', controller, 'docker'));
  }
  for (const parent of parents) {
    for (const id of containers) await rmdir(join(parent, id)).catch(() => undefined);
  }
}
