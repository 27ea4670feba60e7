import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { TomoError } from '../../protocol/errors.ts';

const SOCKET_NAME = 'tomo.sock';
/** sun_path of macOS, the shortest of the platforms, less its ending zero. */
const SOCKET_PATH_MAX_BYTES = 103;

/** Where the owner of a data directory listens for other processes: a Unix socket, or a named pipe on Windows. */
export function relaySocketPath(
  dataDir: string,
  platform: NodeJS.Platform = process.platform,
): string {
  if (platform === 'win32') {
    const name = createHash('sha256').update(resolve(dataDir).toLowerCase()).digest('hex');
    return `\\\\.\\pipe\\tomo-${name.slice(0, 32)}`;
  }
  const path = join(resolve(dataDir), SOCKET_NAME);
  if (Buffer.byteLength(path) <= SOCKET_PATH_MAX_BYTES) return path;
  throw new TomoError(
    'LIMIT_REACHED',
    `The data directory's path is too long for a socket (${path}: over ${SOCKET_PATH_MAX_BYTES} bytes). Choose a shorter --data-dir.`,
  );
}
