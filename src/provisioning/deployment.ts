import type { Access } from '../../protocol/access.ts';
import { hubWebSocketUrl, isLoopback } from './hub-address.ts';
import { shellQuote } from './shell-quote.ts';

const AGENT_IMAGE = 'ghcr.io/tomo/agent:latest';
const CONTAINER_NAME = 'tomo-agent';
const DATA_VOLUME = 'tomo-agent-data';

export interface DeploymentRequest {
  /** http or https base URL that agents reach this server by. */
  readonly publicUrl: string;
  readonly code: string;
  readonly access: Access;
}

export interface Deployment {
  /** For a POSIX shell on the server. */
  readonly deployCommand: string;
  /** The same as a compose file. */
  readonly composeYaml: string;
  readonly warnings: readonly string[];
}

/** The texts with which a person puts an agent on a server. */
export function deployment(request: DeploymentRequest): Deployment {
  const plan = containerPlan(request);
  return {
    deployCommand: deployCommand(plan),
    composeYaml: composeYaml(plan),
    warnings: warnings(request),
  };
}

interface ContainerPlan {
  readonly volumes: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Host network: the only one on which a loopback address is the server itself. */
  readonly hostNetwork: boolean;
  /** What `nsenter` needs to run commands on the server instead of in the container. */
  readonly hostShell: boolean;
}

function containerPlan({ publicUrl, code, access }: DeploymentRequest): ContainerPlan {
  return {
    volumes: ['/var/run/docker.sock:/var/run/docker.sock', '/:/host:ro', `${DATA_VOLUME}:/data`],
    environment: {
      REGISTER_CODE: code,
      SERVER_URL: hubWebSocketUrl(publicUrl),
      ...(access === 'admin' ? {} : { ACCESS: access }),
    },
    hostNetwork: isLoopback(publicUrl),
    hostShell: access === 'admin',
  };
}

function deployCommand(plan: ContainerPlan): string {
  const words = [
    'docker',
    'run',
    '-d',
    '--name',
    CONTAINER_NAME,
    '--restart',
    'always',
    ...(plan.hostNetwork ? ['--network', 'host'] : []),
    ...(plan.hostShell
      ? ['--pid', 'host', '--cap-add', 'SYS_ADMIN', '--cap-add', 'SYS_PTRACE']
      : []),
    ...plan.volumes.flatMap((volume) => ['-v', volume]),
    ...Object.entries(plan.environment).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
    AGENT_IMAGE,
  ];
  return words.map(shellQuote).join(' ');
}

function composeYaml(plan: ContainerPlan): string {
  // Compose replaces $NAME in any value; a doubled dollar stays one.
  const scalar = (value: string): string => JSON.stringify(value).replaceAll('$', () => '$$');
  const list = (items: readonly string[]): string[] =>
    items.map((item) => `      - ${scalar(item)}`);
  const environment = Object.entries(plan.environment).map(
    ([name, value]) => `      ${name}: ${scalar(value)}`,
  );
  return [
    'services:',
    `  ${CONTAINER_NAME}:`,
    `    image: ${AGENT_IMAGE}`,
    `    container_name: ${CONTAINER_NAME}`,
    '    restart: always',
    ...(plan.hostNetwork ? ['    network_mode: host'] : []),
    ...(plan.hostShell
      ? ['    pid: host', '    cap_add:', ...list(['SYS_ADMIN', 'SYS_PTRACE'])]
      : []),
    '    environment:',
    ...environment,
    '    volumes:',
    ...list(plan.volumes),
    'volumes:',
    `  ${DATA_VOLUME}:`,
    `    name: ${DATA_VOLUME}`,
    '',
  ].join('\n');
}

function warnings({ publicUrl }: DeploymentRequest): string[] {
  const notes = [
    `The image ${AGENT_IMAGE} must be on the server or in a registry it reaches. Without it, run the agent from a checkout there: SERVER_URL, REGISTER_CODE and DATA_DIR in the environment, then "node src/main.ts agent".`,
  ];
  if (publicUrl.startsWith('http:') && !isLoopback(publicUrl)) {
    notes.push(
      `${publicUrl} is not encrypted: whoever is on the way to it can read the agent's token and all it does. Give Tomo TLS, or a proxy that adds it, and an https --public-url.`,
    );
  }
  if (isLoopback(publicUrl)) {
    notes.push(
      `${publicUrl} is this machine's own address: only an agent on this machine can reach it. For other servers start Tomo with --public-url and an address that they can reach.`,
    );
  }
  return notes;
}
