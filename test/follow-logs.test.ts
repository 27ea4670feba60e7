import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { rss } from './support/besieged-hub.ts';
import { answering, send } from './support/commands.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import type { TestClient } from './support/mcp-client.ts';
import { OutputReader } from './support/output-reader.ts';
import { Started } from './support/processes.ts';
import { report, sized } from './support/test-size.ts';
import { connect, startAgent, startServer } from './support/tomo.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
const WRITES_SECONDS = sized({ short: 3, full: 30 });
const READER_PAUSES_MS = sized({ short: 2_000, full: 10_000 });
/** 20,000 a second; a busy machine may write fewer. */
const LINES_MIN = sized({ short: 30_000, full: 600_000 });
const BEFORE_PAUSE_COUNT = 20_000;
const GROWN_MAX_BYTES = 128 * 1024 * 1024;
const MIB = 1024 * 1024;
const PINGS = 50;

const started = new Started();
afterEach(() => started[Symbol.asyncDispose]());

/** Checks each line's number against the one before. */
class Numbers {
  count = 0;
  isAtEnd = false;
  readonly wrong: string[] = [];

  take(line: string): void {
    if (line === 'end') {
      this.isAtEnd = true;
      return;
    }
    if (Number(line) !== this.count + 1) this.wrong.push(`${line} after ${this.count}`);
    this.count = Number(line);
  }
}

async function pingMs(client: TestClient): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < PINGS; count += 1) {
    const from = performance.now();
    expect(await send(client, 'web-2')).toMatchObject({ status: 'succeeded' });
    times.push(performance.now() - from);
  }
  return times.toSorted((a, b) => a - b)[PINGS / 2] ?? Number.NaN;
}

describe.skipIf(host === undefined)('following a log through hub and MCP', () => {
  const docker = new DockerFixture(host ?? '');
  afterAll(() => docker.cleanUp());

  it('loses and doubles no line of a container that writes at full speed, with a reader that pauses', {
    timeout: 120_000 + WRITES_SECONDS * 20_000,
  }, async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const env = { DOCKER_HOST: host ?? '' };
    const agent = await startAgent(started, server, client, 'web-1', env);
    await startAgent(started, server, client, 'web-2');
    await answering(client, 'web-1', 'web-2');
    const usualMs = await pingMs(client);
    const [hubBefore, agentBefore] = [rss(server.program.pid), rss(agent.pid)];

    const container = docker.name('numbers');
    const script =
      `end=$(($(date +%s) + ${WRITES_SECONDS} + 1)); n=1; while [ $(date +%s) -lt $end ]; do ` +
      'seq $n $((n + 9999)); n=$((n + 10000)); done; echo end; sleep 3600';
    const run = ['run', '-d', '--network', 'none', '--name', container, WORKLOAD_IMAGE];
    await docker.cli(...run, 'sh', '-c', script);
    const params = { container, follow: true, tail: 100_000, since: 0, timestamps: false };
    const numbers = new Numbers();
    const call = ['web-1', 'docker.containers.logs', params] as const;
    const reader = await OutputReader.begin(client, call, (line) => numbers.take(line));
    await reader.until(() => numbers.count >= BEFORE_PAUSE_COUNT);
    // The reader stands still; the container and the other agent do not.
    await delay(READER_PAUSES_MS);
    const whilePausedMs = await pingMs(client);
    const readFrom = performance.now();
    const pings = pingMs(client);
    await reader.until(() => numbers.isAtEnd);
    const readSeconds = (performance.now() - readFrom) / 1_000;
    const whileReadMs = await pings;

    expect([numbers.wrong, reader.droppedBytes]).toEqual([[], 0]);
    expect(numbers.count).toBeGreaterThan(LINES_MIN);
    const logged = await docker.cli('logs', '--tail', '2', container);
    expect(logged).toBe(`${numbers.count}\nend`);
    const hubGrown = rss(server.program.pid) - hubBefore;
    const agentGrown = rss(agent.pid) - agentBefore;
    report(
      `${numbers.count} lines in ${WRITES_SECONDS} s, read in ${reader.calls} calls, ${readSeconds.toFixed(1)} s after a pause ` +
        `of ${READER_PAUSES_MS / 1_000} s; ping of another agent ${usualMs.toFixed(2)} ms, ${whilePausedMs.toFixed(2)} ` +
        `in the pause, ${whileReadMs.toFixed(2)} while reading; RSS grew by ${(hubGrown / MIB).toFixed(0)} MiB (hub) ` +
        `and ${(agentGrown / MIB).toFixed(0)} MiB (agent)`,
    );
    expect(hubGrown).toBeLessThan(GROWN_MAX_BYTES);
    expect(agentGrown).toBeLessThan(GROWN_MAX_BYTES);
    await reader.cancel();
  });
});
