import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SshProcess, startSsh } from './ssh-client.ts';

/** A local Unix socket whose every connection is carried to a command on an SSH host. */
export interface SshTunnel extends AsyncDisposable {
  readonly socketPath: string;
}

/**
 * As `docker -H ssh://` does it: each connection is one `docker system dial-stdio` over ssh, so that
 * no port is opened and the engine's socket needs no more rights than that docker command has.
 */
export async function openSshTunnel(target: string, command: string): Promise<SshTunnel> {
  // Only this user may enter the directory that mkdtemp makes.
  const directory = await mkdtemp(join(tmpdir(), 'tomo-ssh-'));
  const socketPath = join(directory, 'docker.sock');
  const carriers = new Set<SshProcess>();
  const server = createServer((socket) => carry(socket, startSsh(target, command), carriers));
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    socketPath,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const carrier of carriers) carrier.kill('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function carry(socket: Socket, ssh: SshProcess, carriers: Set<SshProcess>): void {
  carriers.add(ssh);
  const end = (): void => {
    carriers.delete(ssh);
    socket.destroy();
    ssh.kill('SIGKILL');
  };
  ssh.on('error', end).on('close', end);
  ssh.stdin.on('error', end);
  ssh.stderr.resume();
  socket.on('error', end).on('close', end);
  socket.pipe(ssh.stdin);
  ssh.stdout.pipe(socket);
}
