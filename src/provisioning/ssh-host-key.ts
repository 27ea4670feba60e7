import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { sshAddress, sshWords } from './ssh-address.ts';

const run = promisify(execFile);
const SCAN_TIMEOUT_MS = 10_000;

/** Why a host's key was not accepted, its fingerprint, and the command that accepts it. */
export async function hostKeyHint(target: string, changed: boolean): Promise<string> {
  const { host, port } = await resolved(target);
  const fingerprints = await scan(host, port);
  const shown = fingerprints === undefined ? '' : ` It shows ${fingerprints}.`;
  if (changed) {
    return `The SSH host key of ${host} is not the one that is known: the machine was set up anew, or somebody is in between.${shown} If it is right, remove the old key with "ssh-keygen -R ${knownName(host, port)}" and accept the new one with "ssh ${sshWords(target)}".`;
  }
  return `The SSH host key of ${host} is not known yet.${shown} Compare that with the machine's own, then accept it with "ssh ${sshWords(target)}" in a terminal, or "ssh-keyscan -p ${port} ${host} >> ~/.ssh/known_hosts".`;
}

/** Name and port as the user's ssh configuration has them. */
async function resolved(target: string): Promise<{ host: string; port: string }> {
  const { destination, port } = sshAddress(target);
  const flags = port === undefined ? [] : ['-p', port];
  try {
    const { stdout } = await run('ssh', ['-G', ...flags, '--', destination]);
    const value = (name: string): string | undefined =>
      new RegExp(`^${name} (.+)$`, 'm').exec(stdout)?.[1];
    return { host: value('hostname') ?? destination, port: value('port') ?? '22' };
  } catch {
    return { host: destination.slice(destination.indexOf('@') + 1), port: port ?? '22' };
  }
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
