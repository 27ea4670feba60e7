import type { ParamsOf } from '../../protocol/commands/catalogue.ts';
import { splitWords } from './docker-command-words.ts';

type RunParams = ParamsOf<'docker.containers.run'>;

/** The engine's create body (POST /containers/create) for the parameters of docker.containers.run. */
export function createBody(params: RunParams): object {
  const ports = portBindings(params.ports ?? {});
  return {
    Image: params.image,
    Cmd: optionalWords(params.command),
    Entrypoint: optionalWords(params.entrypoint),
    Env: pairs(params.env),
    Labels: params.labels,
    User: params.user,
    WorkingDir: params.workdir,
    Healthcheck: params.healthcheck && healthcheck(params.healthcheck),
    ExposedPorts: Object.fromEntries(Object.keys(ports).map((port) => [port, {}])),
    HostConfig: {
      PortBindings: ports,
      Binds: Object.entries(params.volumes ?? {}).map(
        ([host, { bind, mode }]) => `${host}:${bind}:${mode ?? 'rw'}`,
      ),
      NetworkMode: params.network,
      RestartPolicy: params.restart_policy ?? {
        Name: params.auto_remove === true ? 'no' : 'unless-stopped',
      },
      Memory: params.memory === undefined ? undefined : bytes(params.memory),
      NanoCpus: params.cpus === undefined ? undefined : Math.round(params.cpus * 1e9),
      AutoRemove: params.auto_remove,
      CapAdd: params.cap_add,
      CapDrop: params.cap_drop,
      Devices: params.devices?.map(device),
      ExtraHosts: params.extra_hosts,
    },
  };
}

/** An environment as the engine takes it. */
export function pairs(env: Readonly<Record<string, string>> | undefined): string[] | undefined {
  return env && Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

function optionalWords(
  line: string | readonly string[] | undefined,
): readonly string[] | undefined {
  return typeof line === 'string' ? splitWords(line) : line;
}

interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

function portBindings(ports: NonNullable<RunParams['ports']>): Record<string, PortBinding[]> {
  return Object.fromEntries(
    Object.entries(ports).map(([container, host]) => [
      container.includes('/') ? container : `${container}/tcp`,
      (Array.isArray(host) ? host : [host]).map(portBinding),
    ]),
  );
}

/** 8080, "8080", "127.0.0.1:8080" or "[::1]:8080"; port 0 lets the engine choose. */
function portBinding(host: string | number): PortBinding {
  const text = String(host);
  const colon = text.lastIndexOf(':');
  const port = text.slice(colon + 1);
  return {
    HostIp: text.slice(0, Math.max(0, colon)).replace(/^\[|\]$/g, ''),
    HostPort: Number(port) === 0 ? '' : port,
  };
}

const UNIT_BYTES: Readonly<Record<string, number>> = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

function bytes(memory: number | string): number {
  const unit = UNIT_BYTES[String(memory).slice(-1).toLowerCase()];
  return Number.parseInt(String(memory), 10) * (unit ?? 1);
}

function device(text: string): object {
  const [host = '', container = host, permissions = 'rwm'] = text.split(':');
  return { PathOnHost: host, PathInContainer: container, CgroupPermissions: permissions };
}

function healthcheck(check: NonNullable<RunParams['healthcheck']>): object {
  return {
    Test: typeof check.test === 'string' ? ['CMD-SHELL', check.test] : check.test,
    Interval: nanoseconds(check.interval_seconds),
    Timeout: nanoseconds(check.timeout_seconds),
    StartPeriod: nanoseconds(check.start_period_seconds),
    Retries: check.retries,
  };
}

function nanoseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * 1e9);
}
