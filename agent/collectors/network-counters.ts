import { readFile } from 'node:fs/promises';

export interface NetworkCounters {
  readonly rx: number;
  readonly tx: number;
}

// The server's own interfaces: those of its process 1, through its mounted /proc, or as this process
// sees it. /proc/net would be those of the agent's container.
const FILES = ['/host/proc/1/net/dev', '/proc/1/net/dev', '/proc/net/dev'] as const;

/** Bytes by interface since it came up; empty where the system does not say. */
export async function readNetwork(
  files: readonly string[] = FILES,
): Promise<Map<string, NetworkCounters>> {
  for (const file of files) {
    const interfaces = parseNetwork(await readFile(file, 'utf8').catch(() => ''));
    if (interfaces.size > 0) return interfaces;
  }
  return new Map();
}

/** proc_pid_net(5); without loopback and the host's ends of containers' cables. */
export function parseNetwork(text: string): Map<string, NetworkCounters> {
  const interfaces = new Map<string, NetworkCounters>();
  for (const [, name = '', columns = ''] of text.matchAll(/^\s*([^\s:]+):\s*(.*)$/gm)) {
    const numbers = columns.trim().split(/\s+/).map(Number);
    const [rx, tx] = [numbers[0], numbers[8]];
    if (rx === undefined || tx === undefined || name === 'lo' || name.startsWith('veth')) continue;
    interfaces.set(name, { rx, tx });
  }
  return interfaces;
}

/** Bridges, tunnels, VLANs and bonds pass on what another interface counts too. */
const PASSES_ON =
  /^(?:docker|br|virbr|cni|flannel|cali|vxlan|tun|tap|wg|bond|team|dummy|ifb|kube|vnet|fwbr|fwln|fwpr|tailscale|zt)|\./;

/** Whether it counts traffic of its own, so that a sum counts nothing twice. */
export function hasOwnTraffic(name: string): boolean {
  return !PASSES_ON.test(name);
}
