import { fileURLToPath } from 'node:url';
import type { Program, Started } from './processes.ts';

const AGENT = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));
const BECOME = fileURLToPath(new URL('become.ts', import.meta.url));

/** The agent's program as the last words of another's command line, such as nsenter's. */
export function wrappedAgent(
  started: Started,
  wrapper: readonly string[],
  env: Readonly<Record<string, string>>,
): Program {
  return started.script(BECOME, [...wrapper, process.execPath, AGENT], { ...env });
}

/** What an agent is started with for it to be on another machine, as far as machine_id tells. */
export function onMachine(machineIdFile: string): string[] {
  const bind = `mount --bind "$0" /etc/machine-id && exec "$@"`;
  return ['unshare', '--mount', 'sh', '-c', bind, machineIdFile];
}
