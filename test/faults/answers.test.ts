import { afterEach, expect, it } from 'vitest';
import { expectNoSurprise, metric, send, settledRows } from '../support/commands.ts';
import { FakeAgent, PONG } from '../support/fake-agent.ts';
import { eventually } from '../support/hub.ts';
import { installAgent, socketUrl } from '../support/installed-agent.ts';
import type { TestClient } from '../support/mcp-client.ts';
import { Started } from '../support/processes.ts';
import { sized } from '../support/test-size.ts';
import { connect, startServer, type TomoServer } from '../support/tomo.ts';

const MIB = 1024 * 1024;
const LARGE_BYTES = 10 * MIB;
const LARGE_ANSWERS = sized({ short: 4, full: 64 });

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

async function fake(server: TomoServer, client: TestClient, serverId: string) {
  const { code } = await installAgent(started, server, client, serverId);
  const agent = await FakeAgent.dial(socketUrl(server));
  await agent.hello({ type: 'register', code, version: '1.0.0', protocol: 1 });
  return agent;
}

it('duplicate, late, foreign and unasked answers end no other command, and are counted', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const [first, second] = [
    await fake(server, client, 'web-1'),
    await fake(server, client, 'web-2'),
  ];

  // For another agent's command.
  const own = send(client, 'web-1');
  const { id } = await first.request();
  second.answer(id, { ...PONG, version: 'foreign' });
  second.fail(id, { code: 1, message: 'foreign' });
  await strays(server, 2);
  first.answer(id, PONG);
  expect(await own).toMatchObject({ status: 'succeeded', result: { version: '1.0.0' } });

  // Twice, and once more as an error.
  first.answer(id, { ...PONG, version: 'twice' });
  first.fail(id, { code: 1, message: 'twice' });
  await strays(server, 4);

  // After its time.
  const late = send(client, 'web-1', 'agent.ping', {}, { timeout_seconds: 0.1 });
  const lateId = (await first.request()).id;
  expect(await late).toMatchObject({ status: 'timed_out' });
  const next = send(client, 'web-1');
  const nextId = (await first.request()).id;
  first.answer(lateId, { ...PONG, version: 'late' });
  await strays(server, 5);
  first.answer(nextId, PONG);
  expect(await next).toMatchObject({ status: 'succeeded', result: { version: '1.0.0' } });

  // Never asked for.
  for (const unknown of ['nothing', '__proto__', nextId.toUpperCase()]) second.answer(unknown, {});
  await strays(server, 8);
  const rows = await settledRows(server.dataDir, 'agent.ping');
  expect(rows.map(({ status }) => status)).toEqual(['succeeded', 'timed_out', 'succeeded']);
  expectNoSurprise(server);
});

it(`${LARGE_ANSWERS} answers of 10 MiB at once arrive whole while other agents answer`, async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const other = await fake(server, client, 'web-0');
  const large = 'x'.repeat(LARGE_BYTES);
  const answers = Array.from({ length: LARGE_ANSWERS }, async (_, index) => {
    const serverId = `big-${index}`;
    const agent = await fake(server, client, serverId);
    const answer = send(client, serverId);
    agent.answer((await agent.request()).id, { ...PONG, large });
    return await answer;
  });
  const pings = Array.from({ length: 10 }, async () => {
    const ping = send(client, 'web-0');
    other.answer((await other.request()).id, PONG);
    return await ping;
  });
  for (const ping of await Promise.all(pings)) expect(ping).toMatchObject({ status: 'succeeded' });
  for (const answer of await Promise.all(answers)) {
    expect(answer).toMatchObject({ status: 'succeeded', truncated: true });
    expect(answer.result_text?.length).toBeLessThan(LARGE_BYTES);
  }
  const rows = await settledRows(server.dataDir, 'agent.ping');
  expect(rows).toHaveLength(LARGE_ANSWERS + pings.length);
  expect(rows.filter(({ status }) => status !== 'succeeded')).toEqual([]);
  const sizes = rows.map(({ result_bytes }) => result_bytes ?? 0);
  expect(sizes.filter((bytes) => bytes > LARGE_BYTES)).toHaveLength(LARGE_ANSWERS);
  expectNoSurprise(server);
});

async function strays(server: TomoServer, count: number): Promise<void> {
  await eventually(async () =>
    expect(await metric(server, 'tomo_stray_answers_total')).toBe(count),
  );
}
