import { z } from 'zod';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { TomoError } from '../../protocol/errors.ts';
import { installDocker } from './docker-installation.ts';
import type { Progress } from './progress.ts';
import { sshWords } from './ssh-address.ts';
import { openSshTunnel } from './ssh-tunnel.ts';

/** `user@host`, `host` or `user@host:port`; nothing that ssh could read as an option. */
const SSH_HOST = /^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9[][A-Za-z0-9_.:\]-]*$/;
const sshHost = z.string().max(255).regex(SSH_HOST, 'user@host or user@host:port');

const engineHost = z
  .string()
  .regex(
    new RegExp(`^(?:unix:///.+|tcp://[^/]+|ssh://${SSH_HOST.source.slice(1, -1)})$`),
    'unix:///path, tcp://host:port or ssh://user@host[:port]',
  );

/** Where `install_agent` puts an agent by itself. */
export const deploySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('docker'),
    host: engineHost.optional().describe('The target’s Docker engine; default: this machine’s.'),
  }),
  z.strictObject({
    kind: z.literal('ssh'),
    host: sshHost.describe(
      'user@host[:port], reached with the OpenSSH client, its configuration and agent.',
    ),
    install_docker: z
      .boolean()
      .optional()
      .describe('Install Docker there with its package manager if it is missing.'),
  }),
]);
export type DeploySpec = z.output<typeof deploySchema>;

/** The Docker engine of a deployment's target, open until it is disposed of. */
export interface DeployTarget extends AsyncDisposable {
  readonly engine: DockerEngine;
  /** For messages: `ssh root@web-1`. */
  readonly name: string;
  /** What a person writes before docker to look at it by hand. */
  readonly docker: string;
}

/**
 * Opens the target's engine and sees that it answers. Throws TARGET_UNREACHABLE, HOST_KEY_UNVERIFIED,
 * LOGIN_REFUSED, DOCKER_MISSING, DOCKER_UNAVAILABLE, DOCKER_NOT_PERMITTED.
 */
export async function openTarget(
  spec: DeploySpec,
  progress: Progress,
  signal: AbortSignal,
): Promise<DeployTarget> {
  progress('connecting to the Docker engine');
  const ssh = sshHostOf(spec);
  const target =
    ssh === undefined ? localTarget(spec) : await sshTarget(ssh, spec, progress, signal);
  try {
    await target.engine.version(signal);
    return target;
  } catch (error) {
    await target[Symbol.asyncDispose]();
    throw error instanceof TomoError && error.name === 'DOCKER_UNAVAILABLE'
      ? unreachable(target, error)
      : error;
  }
}

function sshHostOf(spec: DeploySpec): string | undefined {
  if (spec.kind === 'ssh') return spec.host;
  if (spec.host?.startsWith('ssh://') !== true) return undefined;
  return sshHost.parse(spec.host.slice('ssh://'.length));
}

function localTarget(spec: DeploySpec): DeployTarget {
  const host = spec.kind === 'docker' ? spec.host : undefined;
  return {
    engine: new DockerEngine(host),
    name: host ?? 'the Docker engine of this machine',
    docker: host === undefined ? 'docker' : `docker -H ${host}`,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function sshTarget(
  host: string,
  spec: DeploySpec,
  progress: Progress,
  signal: AbortSignal,
): Promise<DeployTarget> {
  const install = spec.kind === 'ssh' && spec.install_docker === true;
  const docker = await installDocker(host, { install, progress, signal });
  const tunnel = await openSshTunnel(host, `${docker} system dial-stdio`);
  return {
    engine: new DockerEngine(`unix://${tunnel.socketPath}`),
    name: `ssh ${host}`,
    docker: `ssh ${sshWords(host)} ${docker}`,
    [Symbol.asyncDispose]: () => tunnel[Symbol.asyncDispose](),
  };
}

function unreachable(target: DeployTarget, cause: TomoError): TomoError {
  return new TomoError(
    'TARGET_UNREACHABLE',
    `No Docker engine answers at ${target.name}: ${cause.message}`,
    { cause, facts: { target: target.name } },
  );
}
