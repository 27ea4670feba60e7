import { TomoError } from '../../protocol/errors.ts';
import type { Progress } from './progress.ts';
import { runOverSsh } from './ssh-client.ts';

interface InstallOptions {
  readonly install: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** By ID or ID_LIKE of os-release(5). */
const INSTALL_COMMANDS: Readonly<Record<string, string>> = {
  debian: 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io',
  ubuntu: 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io',
  alpine: 'apk add docker && rc-update add docker default && service docker start',
  arch: 'pacman -Sy --noconfirm docker && systemctl enable --now docker',
  amzn: 'dnf install -y docker && systemctl enable --now docker',
  fedora: 'dnf install -y moby-engine && systemctl enable --now docker',
  suse: 'zypper --non-interactive install docker && systemctl enable --now docker',
  opensuse: 'zypper --non-interactive install docker && systemctl enable --now docker',
};

/**
 * How docker is run on an SSH host: `docker`, or `sudo -n docker` where the user may not use the
 * engine's socket; installed first if that is wanted. Throws DOCKER_MISSING, LOGIN_REFUSED,
 * DOCKER_NOT_PERMITTED, DOCKER_UNAVAILABLE and what `runOverSsh` throws.
 */
export async function installDocker(host: string, options: InstallOptions): Promise<string> {
  const found = await look(host, options.signal);
  if (found.docker !== undefined) return found.docker;
  if (found.complaint !== undefined) throw notUsable(host, found);
  const command = installCommand(found.systems);
  if (!options.install || command === undefined) throw missing(host, command, options.install);
  options.progress(`installing Docker on ${host}`);
  const sudo = found.isRoot ? '' : 'sudo -n ';
  const installed = await runOverSsh(
    host,
    `${sudo}sh -c '${command}' 2>&1 | tail -n 5`,
    options.signal,
  );
  const after = await look(host, options.signal);
  if (after.docker !== undefined) return after.docker;
  throw new TomoError(
    'DOCKER_MISSING',
    `Installing Docker on ${host} did not work: ${installed.stdout.trim()} ${after.complaint ?? ''}`,
    { facts: { host } },
  );
}

/** Red Hat's family calls itself like Fedora, but has no Docker among its own packages. */
const WITHOUT_DOCKER = ['rhel', 'centos', 'rocky', 'almalinux', 'ol'];

function installCommand([id = '', ...like]: readonly string[]): string | undefined {
  const own = INSTALL_COMMANDS[id];
  if (own !== undefined) return own;
  if ([id, ...like].some((name) => WITHOUT_DOCKER.includes(name))) return undefined;
  return like.map((name) => INSTALL_COMMANDS[name]).find((text) => text !== undefined);
}

interface Found {
  readonly docker: string | undefined;
  /** What docker said, if it is there but does not answer. */
  readonly complaint: string | undefined;
  readonly systems: readonly string[];
  readonly isRoot: boolean;
}

const LOOK = `
. /etc/os-release 2>/dev/null
echo "systems=$ID $ID_LIKE"
echo "uid=$(id -u)"
PATH=$PATH:/usr/local/bin:/usr/sbin:/sbin
if command -v docker >/dev/null 2>&1; then
  if said=$(docker version --format '{{.Server.Version}}' 2>&1); then echo "docker=$(command -v docker)"
  elif sudo -n docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then echo "docker=sudo -n $(command -v docker)"
  else echo "complaint=$(echo "$said" | tr '\\n' ' ')"
  fi
fi
`;

async function look(host: string, signal: AbortSignal): Promise<Found> {
  const { stdout } = await runOverSsh(host, LOOK, signal);
  const lines = new Map(
    stdout.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1).trim()] as const;
    }),
  );
  return {
    docker: lines.get('docker'),
    complaint: lines.get('complaint'),
    systems: (lines.get('systems') ?? '').split(' ').filter((id) => id !== ''),
    isRoot: lines.get('uid') === '0',
  };
}

function missing(host: string, command: string | undefined, wanted: boolean): TomoError {
  const how =
    command === undefined
      ? 'Install Docker Engine there as its distribution says, then call install_agent again.'
      : wanted
        ? ''
        : `Install it with "${command}" there, or call install_agent with deploy.install_docker: true.`;
  return new TomoError('DOCKER_MISSING', `There is no Docker on ${host}. ${how}`, {
    facts: { host, command },
  });
}

function notUsable(host: string, { complaint = '' }: Found): TomoError {
  if (/permission denied/i.test(complaint)) {
    return new TomoError(
      'DOCKER_NOT_PERMITTED',
      `The SSH user may not use Docker on ${host} and sudo there wants a password. Log in as root, add the user to the docker group, or allow "sudo -n docker" without a password.`,
      { facts: { host } },
    );
  }
  return new TomoError(
    'DOCKER_UNAVAILABLE',
    `Docker is installed on ${host} but its engine does not answer (${complaint}). Start it there: "systemctl start docker".`,
    { facts: { host } },
  );
}
