import {
  AGENT_IMAGE,
  type ContainerPlan,
  containerPlan,
  type Mount,
  type PlanRequest,
} from './container-plan.ts';
import { isLoopback } from './hub-address.ts';
import { shellQuote } from './shell-quote.ts';

export interface Deployment {
  /** For a POSIX shell on the server. */
  readonly deployCommand: string;
  /** The same as a compose file. */
  readonly composeYaml: string;
  /** What the container is granted, and what for. */
  readonly grants: readonly string[];
  readonly warnings: readonly string[];
}

const HIDDEN_CERTIFICATE =
  'This carries no SERVER_FINGERPRINT: with --public-url and --trusted-proxies agents see the certificate of the proxy, not that of --tls-self-signed. The proxy needs one that agents trust; --tls-self-signed is not for use behind a proxy that ends TLS.';

/** The texts with which a person puts an agent on a server. */
export function deployment(request: PlanRequest): Deployment {
  const plan = containerPlan(request);
  return {
    deployCommand: deployCommand(plan),
    composeYaml: composeYaml(plan),
    grants: plan.grants,
    warnings: [
      `The image ${AGENT_IMAGE} must be on the server or in a registry it reaches; install_agent with deploy builds it there if need be.`,
      ...addressWarnings(request),
    ],
  };
}

/** What a person should know of the address that agents are given. */
function addressWarnings({ publicUrl, fingerprint }: PlanRequest): string[] {
  const proxy = fingerprint === null ? [HIDDEN_CERTIFICATE] : [];
  if (isLoopback(publicUrl)) {
    return [
      `${publicUrl} is this machine's own address: only an agent on this machine can reach it. For other servers start Tomo with --public-url and an address that they can reach.`,
      ...proxy,
    ];
  }
  if (!publicUrl.startsWith('http:')) return proxy;
  return [
    `${publicUrl} is not encrypted: whoever is on the way to it can read the agent's token and all it does. Give Tomo TLS, or a proxy that adds it, and an https --public-url.`,
    ...proxy,
  ];
}

function deployCommand(plan: ContainerPlan): string {
  const each = (flag: string, values: readonly string[]): string[] =>
    values.flatMap((value) => [flag, value]);
  const pairs = (values: Readonly<Record<string, string>>): string[] =>
    Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const words = [
    'docker',
    'run',
    '-d',
    ...each('--name', [plan.name]),
    ...each('--restart', ['always']),
    ...each('--label', pairs(plan.labels)),
    ...(plan.hostNetwork ? ['--network', 'host'] : []),
    ...(plan.hostShell === undefined
      ? []
      : [
          ...each('--pid', ['host']),
          ...each('--cap-add', plan.hostShell.capabilities),
          ...each('--security-opt', plan.hostShell.securityOptions),
        ]),
    ...each('-v', plan.mounts.map(bindOf)),
    ...each('-e', pairs(plan.environment)),
    plan.image,
  ];
  return words.map(shellQuote).join(' ');
}

function bindOf({ source, target, readOnly }: Mount): string {
  return `${source}:${target}${readOnly ? ':ro' : ''}`;
}

function composeYaml(plan: ContainerPlan): string {
  // Compose replaces $NAME in any value; a doubled dollar stays one.
  const scalar = (value: string): string => JSON.stringify(value).replaceAll('$', () => '$$');
  const list = (name: string, items: readonly string[]): string[] =>
    items.length === 0 ? [] : [`    ${name}:`, ...items.map((item) => `      - ${scalar(item)}`)];
  const map = (name: string, values: Readonly<Record<string, string>>): string[] => [
    `    ${name}:`,
    ...Object.entries(values).map(([key, value]) => `      ${key}: ${scalar(value)}`),
  ];
  return [
    ...plan.grants.map((grant) => `# ${grant}`),
    'services:',
    `  ${plan.name}:`,
    `    image: ${plan.image}`,
    `    container_name: ${plan.name}`,
    '    restart: always',
    ...map('labels', plan.labels),
    ...(plan.hostNetwork ? ['    network_mode: host'] : []),
    ...(plan.hostShell === undefined ? [] : ['    pid: host']),
    ...list('cap_add', plan.hostShell?.capabilities ?? []),
    ...list('security_opt', plan.hostShell?.securityOptions ?? []),
    ...map('environment', plan.environment),
    ...list('volumes', plan.mounts.map(bindOf)),
    'volumes:',
    `  ${plan.dataVolume}:`,
    `    name: ${plan.dataVolume}`,
    '',
  ].join('\n');
}
