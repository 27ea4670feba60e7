import os from 'node:os';
import type { Access } from '../../protocol/access.ts';
import { toTomoError } from '../../protocol/errors.ts';
import { VERSION } from '../../protocol/version.ts';
import type { MetricsSampler } from '../collectors/metrics.ts';
import type { EngineProbe } from '../engine-probe.ts';
import { hostName, osName } from '../host-info.ts';
import { runShell } from '../shell/host-shell.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import { withTimeLimit } from '../time-limit.ts';
import type { Handlers } from './handler.ts';

export interface SystemContext {
  readonly engine: EngineProbe;
  readonly sampler: MetricsSampler;
  readonly access: Access;
  /** Where commands run. */
  readonly shell: () => Promise<ShellPlace>;
  readonly engineLimitMs?: number;
}

type SystemHandlers = Pick<
  Handlers,
  'system.info' | 'system.exec' | 'system.get_metrics' | 'metrics.get'
>;

const ENGINE_LIMIT_MS = 3_000;

export function systemHandlers(context: SystemContext): SystemHandlers {
  const { sampler, shell } = context;
  return {
    'system.info': async (_params, { signal }) => await systemInfo(context, signal),
    'system.exec': async ({ command, timeout, cwd, env }, { signal, output }) => {
      const { scope, entrance, environment } = await shell();
      const result = await runShell({
        command,
        cwd: cwd ?? '/',
        entrance,
        environment: { ...environment, ...env },
        timeoutMs: timeout * 1_000,
        signal,
        onOutput: (stream, piece) => {
          void output.write(stream, piece);
        },
      });
      return { ...result, scope };
    },
    'system.get_metrics': async (_params, { signal }) => await sampler.measure(signal),
    'metrics.get': async (_params, { signal }) => await sampler.measure(signal),
  };
}

async function systemInfo(context: SystemContext, signal: AbortSignal) {
  const [docker, hostname, osLabel, place] = await Promise.all([
    dockerInfo(context, signal),
    hostName(),
    osName(),
    context.shell(),
  ]);
  return {
    os: osLabel,
    kernel: os.release(),
    arch: os.machine(),
    hostname,
    docker_version: docker.available ? docker.version : 'unknown',
    cpus: os.cpus().length,
    memory_total: os.totalmem(),
    uptime_seconds: Math.floor(os.uptime()),
    agent_version: VERSION,
    node_version: process.version,
    exec_scope: place.scope,
    access: context.access,
    docker,
  };
}

async function dockerInfo({ engine, engineLimitMs }: SystemContext, signal: AbortSignal) {
  try {
    const limitMs = engineLimitMs ?? ENGINE_LIMIT_MS;
    const version = await withTimeLimit(limitMs, signal, (limited) => engine.version(limited));
    return { available: true as const, ...version };
  } catch (error) {
    return { available: false as const, error: describe(error) };
  }
}

function describe(error: unknown): { name: string; message: string } {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { name: 'DOCKER_UNAVAILABLE', message: 'The Docker engine did not answer in time.' };
  }
  const { name, message } = toTomoError(error);
  return { name, message };
}
