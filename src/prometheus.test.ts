import { describe, expect, it, onTestFinished } from 'vitest';
import { startHub, type TestHub } from '../test/support/hub.ts';
import { PrometheusExposition } from './prometheus.ts';

const METRICS = {
  cpu: 12.5,
  memory: { used: 4, total: 8, percent: 50 },
  disk: { used: 1, total: 10, percent: 10 },
  containers: { running: 2, stopped: 1 },
};

function expositionOf({ hub, database }: TestHub): PrometheusExposition {
  const exposition = new PrometheusExposition({ hub, db: database.db });
  onTestFinished(() => exposition[Symbol.dispose]());
  return exposition;
}

const valueOf = (text: string, line: string): number =>
  Number(
    text
      .split('\n')
      .find((found) => found.startsWith(`${line} `))
      ?.slice(line.length),
  );

describe('PrometheusExposition', () => {
  it('gives each number of the hub a name, a type and its value', async () => {
    const test = await startHub();
    await test.join('web-1');
    const text = await expositionOf(test).text();
    expect(text.match(/^tomo_\w+ \d$/gm)).toEqual([
      'tomo_agents_connected 1',
      'tomo_calls_in_flight 0',
      'tomo_calls_total 0',
      'tomo_stray_answers_total 0',
      'tomo_stray_progress_total 0',
      'tomo_refused_handshakes_total 0',
      'tomo_superseded_total 0',
      'tomo_clones_refused_total 0',
      'tomo_taking_turns_total 0',
      'tomo_telemetry_dropped_total 0',
    ]);
    expect(text).toContain('# TYPE tomo_telemetry_dropped_total counter\n');
    expect(text).toContain('# HELP tomo_agents_connected Agents with an open socket.\n');
  });

  it('counts anew in every answer', async () => {
    const test = await startHub();
    const exposition = expositionOf(test);
    expect(valueOf(await exposition.text(), 'tomo_agents_connected')).toBe(0);
    await test.join('web-1');
    const [text, same] = await Promise.all([exposition.text(), exposition.text()]);
    expect(valueOf(text, 'tomo_agents_connected')).toBe(1);
    expect(same).toBe(text);
  });

  it('tells of its own process', async () => {
    const text = await expositionOf(await startHub()).text();
    expect(valueOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(valueOf(text, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    const started = valueOf(text, 'process_start_time_seconds');
    expect(Math.abs(started - (Date.now() / 1_000 - process.uptime()))).toBeLessThan(5);
    expect(valueOf(text, 'nodejs_heap_size_used_bytes')).toBeGreaterThan(1_000_000);
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds ');
  });

  it('tells of each server: whether its agent is there, and what it reported last', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1');
    await test.install('web-2');
    test.hub.telemetry.metrics(agentId, { ...METRICS, network_io: { rx: 7, tx: 9 } }, Date.now());
    const text = await expositionOf(test).text();
    expect(text.match(/^tomo_(?:agent_up|host_).*$/gm)).toEqual([
      'tomo_agent_up{server_id="web-1"} 1',
      'tomo_agent_up{server_id="web-2"} 0',
      'tomo_host_cpu_percent{server_id="web-1"} 12.5',
      'tomo_host_memory_used_bytes{server_id="web-1"} 4',
      'tomo_host_memory_total_bytes{server_id="web-1"} 8',
      'tomo_host_disk_used_bytes{server_id="web-1"} 1',
      'tomo_host_disk_total_bytes{server_id="web-1"} 10',
      'tomo_host_network_receive_bytes_per_second{server_id="web-1"} 7',
      'tomo_host_network_transmit_bytes_per_second{server_id="web-1"} 9',
      'tomo_host_containers_running{server_id="web-1"} 2',
      'tomo_host_containers_stopped{server_id="web-1"} 1',
    ]);
    const seen = valueOf(text, 'tomo_agent_last_seen_timestamp_seconds{server_id="web-1"}');
    expect(Math.abs(seen - Date.now() / 1_000)).toBeLessThan(60);
    expect(text).not.toContain('last_seen_timestamp_seconds{server_id="web-2"}');
  });

  it('leaves out revoked agents, and tells of more than one page of them', async () => {
    const test = await startHub();
    const { client, db } = test.database;
    const insert = client.prepare(
      `INSERT INTO agents (id, server_id, status, access, created_at, updated_at)
      VALUES (?, ?, 'disconnected', 'admin', 1, 1)`,
    );
    for (let n = 0; n < 1_001; n += 1) {
      client.prepare('INSERT INTO servers (id, created_at) VALUES (?, 1)').run(`s-${n}`);
      insert.run(`a-${n}`, `s-${n}`);
    }
    await db.agents.revoke('a-7', 1);
    const text = await expositionOf(test).text();
    expect(text.match(/^tomo_agent_up.* 0$/gm)).toHaveLength(1_000);
    expect(text).not.toContain('"s-7"');
  });

  it('fails once where the database does, and works again afterwards', async () => {
    const test = await startHub();
    let fails = true;
    const list: typeof test.database.db.agents.list = async (filter) => {
      if (fails) throw new Error('busy');
      return await test.database.db.agents.list(filter);
    };
    const exposition = new PrometheusExposition({ hub: test.hub, db: { agents: { list } } });
    onTestFinished(() => exposition[Symbol.dispose]());
    await expect(exposition.text()).rejects.toThrow('busy');
    fails = false;
    expect(await exposition.text()).toContain('tomo_agents_connected 0');
  });
});
