import { access, constants, readFile, realpath } from 'node:fs/promises';
import { bounded, type Check } from './check.ts';

interface DataDirOptions {
  readonly isContained: boolean;
  readonly mountinfo?: string;
}

const VOLUME_NEXT_STEP =
  'Mount a volume there: -v tomo-agent-data:/data. install_agent with replace does.';

/** Whether the agent's token can be written, and outlives the agent's container. */
export async function checkDataDir(
  dataDir: string,
  { isContained, mountinfo = '/proc/self/mountinfo' }: DataDirOptions,
  signal: AbortSignal,
): Promise<Check[]> {
  const check = await bounded('data_dir', signal, async () => {
    await access(dataDir, constants.W_OK);
    if (!isContained) return { ok: true, detail: `${dataDir} is writable` };
    const directory = await realpath(dataDir);
    if (isMounted(directory, await readFile(mountinfo, 'utf8'))) {
      return { ok: true, detail: `${dataDir} is writable and on a mount of its own` };
    }
    const detail = `${dataDir} is in the container’s own layer: the token is lost with the container`;
    return { ok: false, detail, next_step: VOLUME_NEXT_STEP };
  });
  if (check.ok || check.next_step !== undefined) return [check];
  return [{ ...check, next_step: `Make ${dataDir} a directory that the agent may write to.` }];
}

/** Whether a mount other than the root's holds the directory. */
function isMounted(directory: string, mountinfo: string): boolean {
  const mountPoints = mountinfo.split('\n').map((line) => line.split(' ')[4] ?? '');
  return mountPoints.some((point) => point.length > 1 && `${directory}/`.startsWith(`${point}/`));
}
