import type { TestHub } from './hub.ts';

/** What an agent reports of a container. */
export function container(name: string) {
  const since = { network_rx: 100, network_tx: 100, block_read: 100, block_write: 100 };
  const rates = { network_rx: 1, network_tx: 2, block_read: 3, block_write: 4 };
  const memory = { memory_usage: 5, memory_limit: 10 };
  return { id: 'abc', name, cpu_percent: 150, ...memory, ...since, rates };
}

export function containerRows({ database }: TestHub): unknown[] {
  return database.client.prepare('SELECT * FROM agent_container_metrics').all();
}
