import { randomUUID } from 'node:crypto';
import type { Access } from '../../protocol/access.ts';
import { hashRegistrationCode, newRegistrationCode } from '../../src/agent-hub/credentials.ts';
import { type FakeAgent, type Message, PONG } from './fake-agent.ts';
import type { TestHub } from './hub.ts';

/** What agents of the present protocol say of themselves, beyond the first deployment's fields. */
export const PRESENT = { protocol: 1, capabilities: ['agent.ping', 'system.exec'] };

/** A ticket for a candidate of the agent. */
export async function issueTicket(
  test: TestHub,
  agentId: string,
  ttlMs = 60_000,
  access?: Access,
): Promise<string> {
  const code = newRegistrationCode();
  const now = Date.now();
  await test.database.db.agents.issueTicket({
    agentId,
    codeId: randomUUID(),
    codeHash: hashRegistrationCode(code),
    access,
    expiresAt: now + ttlMs,
    now,
  });
  return code;
}

export interface Parked {
  agent: FakeAgent;
  token: string;
  welcome: Message;
}

/** A candidate that has not answered its ping. */
export async function parkCandidate(
  test: TestHub,
  agentId: string,
  hello: Message = {},
  access?: Access,
): Promise<Parked> {
  const code = await issueTicket(test, agentId, undefined, access);
  const agent = await test.dial();
  const first = { type: 'register', code, version: '2.0.0', ...PRESENT, ...hello };
  const welcome = await agent.hello(first);
  return { agent, welcome, token: String(welcome['token']) };
}

/** Answers the ping that a candidate is promoted for. */
export async function answerPing(agent: FakeAgent): Promise<void> {
  const { id, method } = await agent.request();
  if (method !== 'agent.ping') throw new Error(`not a ping: ${method}`);
  agent.answer(id, PONG);
}

/** Waits without an end of its own: a test's own limit ends it. */
export const FOREVER: AbortSignal = new AbortController().signal;
