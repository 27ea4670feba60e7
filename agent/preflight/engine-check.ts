import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { bounded, type Check } from './check.ts';

// API 1.41 (Docker 20.10) is the oldest that every docker.* method is known to work with.
const API_MIN_MINOR = 41;

/** Whether the engine answers, may be used, and is not too old. */
export async function checkEngine(
  engine: Pick<DockerEngine, 'version'>,
  signal: AbortSignal,
): Promise<Check[]> {
  const check = await bounded('engine', signal, async (limited) => {
    const { version, api_version } = await engine.version(limited);
    const detail = `version ${version}, API ${api_version}`;
    if (Number(api_version.split('.')[1]) >= API_MIN_MINOR) return { ok: true, detail };
    const next_step = `Upgrade Docker: API 1.${API_MIN_MINOR} or later is needed.`;
    return { ok: false, detail, next_step };
  });
  if (check.ok || check.next_step !== undefined) return [check];
  const next_step =
    'See that the engine runs, and that its socket is mounted into the agent’s container (-v /var/run/docker.sock:/var/run/docker.sock).';
  return [{ ...check, next_step }];
}
