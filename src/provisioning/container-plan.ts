import type { Access } from '../../protocol/access.ts';
import { hubWebSocketUrl, isLoopback } from './hub-address.ts';

export const AGENT_IMAGE = 'ghcr.io/tomo/agent:latest';

const CONTAINER_NAME = 'tomo-agent';
const DATA_VOLUME = 'tomo-agent-data';
const ENGINE_SOCKET = '/var/run/docker.sock';

/** Labels by which agents find their own containers and volumes, and nothing else. */
export const AGENT_LABEL = 'tomo.agent';
export const SERVER_LABEL = 'tomo.server_id';

export interface PlanRequest {
  /** http or https base URL that agents reach this server by. */
  readonly publicUrl: string;
  readonly serverId: string;
  readonly code: string;
  readonly access: Access;
  /**
   * SHA-256 of the certificate at an https `publicUrl`, if agents are to expect that very one; null if
   * they would, but see that of a proxy.
   */
  readonly fingerprint?: string | null;
  /** Sets the names of a second agent apart while it takes over from the first. */
  readonly suffix?: string;
}

/** The agent's container: what the deploy command, the compose file and a deployment make of it. */
export interface ContainerPlan {
  readonly name: string;
  readonly image: string;
  readonly dataVolume: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly environment: Readonly<Record<string, string>>;
  /** Host network: the only one on which a loopback address is the server itself. */
  readonly hostNetwork: boolean;
  /** Rights that only `nsenter` needs, to run commands on the server instead of in the container. */
  readonly hostShell: HostShell | undefined;
  /** What each right is for, for a person who is asked to grant it. */
  readonly grants: readonly string[];
}

/** A path of the server or a volume, and where the container has it. */
export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

interface HostShell {
  readonly capabilities: readonly string[];
  readonly securityOptions: readonly string[];
}

const HOST_SHELL: HostShell = {
  capabilities: ['SYS_ADMIN', 'SYS_PTRACE'],
  // Without effect on servers that have neither.
  securityOptions: ['apparmor=unconfined', 'label=disable'],
};

export function containerPlan(request: PlanRequest): ContainerPlan {
  const { publicUrl, serverId, code, access, suffix } = request;
  const serverUrl = hubWebSocketUrl(publicUrl);
  const fingerprint = serverUrl.startsWith('wss:') ? request.fingerprint : null;
  const named = (name: string): string => (suffix === undefined ? name : `${name}-${suffix}`);
  const dataVolume = named(DATA_VOLUME);
  const hostNetwork = isLoopback(publicUrl);
  const hostShell = access === 'admin' ? HOST_SHELL : undefined;
  return {
    name: named(CONTAINER_NAME),
    image: AGENT_IMAGE,
    dataVolume,
    labels: { [AGENT_LABEL]: '1', [SERVER_LABEL]: serverId },
    mounts: [
      { source: ENGINE_SOCKET, target: ENGINE_SOCKET, readOnly: false },
      { source: '/', target: '/host', readOnly: true },
      { source: dataVolume, target: '/data', readOnly: false },
    ],
    environment: {
      REGISTER_CODE: code,
      SERVER_URL: serverUrl,
      ...(typeof fingerprint === 'string' ? { SERVER_FINGERPRINT: fingerprint } : {}),
      ...(access === 'admin' ? {} : { ACCESS: access }),
    },
    hostNetwork,
    hostShell,
    grants: grantsOf(hostNetwork, hostShell),
  };
}

function grantsOf(hostNetwork: boolean, hostShell: HostShell | undefined): string[] {
  return [
    'Docker socket: to manage containers; whoever has it is root on the server.',
    '/ as /host, read-only: to measure disks and to name the system.',
    ...(hostNetwork ? ['Host network: the hub listens on this machine’s own address.'] : []),
    ...(hostShell === undefined
      ? []
      : [
          'Host process namespace, SYS_ADMIN, SYS_PTRACE, no AppArmor or SELinux confinement: so that system.exec runs on the server itself (access "admin").',
        ]),
  ];
}
