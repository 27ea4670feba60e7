import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import type { Streams } from '../../protocol/commands/define-command.ts';
import type { FakeAgent, Message } from './fake-agent.ts';
import type { Joined, TestHub } from './hub.ts';

const METHOD = 'docker.containers.logs';

/** What the command answers in the end. */
export const LOGS = { container_id: 'c1', logs: '', truncated: false };

export interface Streaming {
  readonly id: string;
  /** How its call ends. */
  readonly call: Promise<unknown>;
}

/** Makes a method of the catalogue, which this process alone has, stream like that for the test. */
function streamsAs(streams: Streams): void {
  const entry = CATALOGUE[METHOD];
  const before = entry.streams;
  Object.assign(entry, { streams });
  onTestFinished(() => void Object.assign(entry, { streams: before }));
}

/** A command with a row whose output travels like that, and that its agent has got. */
export async function streaming(
  test: TestHub,
  { agent, agentId }: Pick<Joined, 'agent' | 'agentId'>,
  streams: Streams = 'lossless',
): Promise<Streaming> {
  streamsAs(streams);
  const id = randomUUID();
  await test.database.db.commands.begin({
    id,
    agentId,
    serverId: 'web-1',
    actor: 'tester',
    origin: null,
    instanceId: null,
    method: METHOD,
    params: { container: 'c1' },
    startedAt: Date.now(),
  });
  const call = test.call(agentId, {
    id,
    method: METHOD,
    params: { container: 'c1' },
    hasRow: true,
    timeoutMs: 3_600_000,
  });
  call.catch(() => undefined);
  await agent.nextWhere((message) => message['id'] === id);
  return { id, call };
}

/** The next message of that kind about the command. */
export async function told(agent: FakeAgent, method: string, id: string): Promise<Message> {
  const { params } = await agent.nextWhere(
    (message) => message['method'] === method && JSON.stringify(message['params']).includes(id),
  );
  return params as Message;
}
