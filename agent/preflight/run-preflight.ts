import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import type { Access } from '../../protocol/access.ts';
import type { ParamsOf, ResultOf } from '../../protocol/commands/catalogue.ts';
import type { HubAddress } from '../connection/hub-address.ts';
import type { HubTransport } from '../connection/hub-transport.ts';
import { isInContainer } from '../host-info.ts';
import type { OwnContainer } from '../own-container/own-container.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import type { Check } from './check.ts';
import { checkDataDir } from './data-dir-check.ts';
import { checkDisks } from './disk-check.ts';
import { checkEngine } from './engine-check.ts';
import { checkHostShell } from './host-shell-check.ts';
import { checkHub } from './hub-check.ts';
import { checkMemory } from './memory-check.ts';
import { checkNames } from './name-check.ts';
import { checkPorts } from './port-check.ts';

export interface PreflightContext {
  readonly engine: DockerEngine;
  readonly own: OwnContainer;
  readonly access: Access;
  readonly shell: () => Promise<ShellPlace>;
  readonly hubAddress: HubAddress;
  readonly transport: HubTransport;
  readonly dataDir: string;
}

/** Looks at everything at once; each check is bounded in time, and one that fails fails no other. */
export async function runPreflight(
  context: PreflightContext,
  { ports = [], hosts = [] }: ParamsOf<'system.preflight'>,
  signal: AbortSignal,
): Promise<ResultOf<'system.preflight'>> {
  const isContained = isInContainer();
  const groups: readonly (readonly Check[])[] = await Promise.all([
    checkEngine(context.engine, signal),
    checkDisks(context.engine, { isContained }, signal),
    checkMemory(),
    checkPorts(ports, { isContained, own: context.own }, signal),
    checkNames(hosts, signal),
    checkHub(context, signal),
    checkHostShell(context, signal),
    checkDataDir(context.dataDir, { isContained }, signal),
  ]);
  const checks = groups.flat();
  return { ok: checks.every(({ ok }) => ok), checks: checks.map((check) => ({ ...check })) };
}
