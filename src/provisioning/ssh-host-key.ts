import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { sshAddress } from './ssh-address.ts';

const run = promisify(execFile);
const SCAN_TIMEOUT_MS = 10_000;

/** Why a host's key was not accepted, its fingerprint, and the command that accepts it. */
export async function hostKeyHint(target: string, changed: boolean): Promise<string> {
  const { destination, port = '22' } = sshAddress(target);
  const host = destination.slice(destination.indexOf('@') + 1);
  const fingerprints = await scan(host, port);
  const shown = fingerprints === undefined ? '' : ` It shows ${fingerprints}.`;
  if (changed) {
    return `The SSH host key of ${host} is not the one that is known: the machine was set up anew, or somebody is in between.${shown} If it is right, remove the old key with "ssh-keygen -R ${knownName(host, port)}" and accept the new one with "ssh ${target}".`;
  }
  return `The SSH host key of ${host} is not known yet.${shown} Compare that with the machine's own, then accept it with "ssh ${target}" in a terminal, or "ssh-keyscan -p ${port} ${host} >> ~/.ssh/known_hosts".`;
}

async function scan(host: string, port: string): Promise<string | undefined> {
  try {
    const options = { timeout: SCAN_TIMEOUT_MS };
    const { stdout: keys } = await run('ssh-keyscan', ['-T', '5', '-p', port, host], options);
    const listing = run('ssh-keygen', ['-l', '-f', '-'], options);
    listing.child.stdin?.end(keys);
    const { stdout } = await listing;
    return stdout
      .split('\n')
      .map((line) => line.split(' '))
      .filter((words) => words.length > 3)
      .map((words) => `${words[1]} ${words.at(-1)}`)
      .join(', ');
  } catch {
    return undefined;
  }
}

function knownName(host: string, port: string): string {
  return port === '22' ? host : `[${host}]:${port}`;
}
