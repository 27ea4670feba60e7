import { expect } from 'vitest';
import type { FakeAgent } from './fake-agent.ts';
import { startFleet, type TestFleet } from './fleet.ts';
import { eventually } from './hub.ts';

export const EXEC = {
  server_id: 'web-1',
  method: 'system.exec',
  params: { command: 'make' },
  wait_seconds: 0,
};
export const DONE = { stdout: 'made', stderr: '', exit_code: 0 };

/** A fleet with one agent. */
export interface Scene extends TestFleet {
  readonly agent: FakeAgent;
  readonly agentId: string;
  readonly token: string;
}

export async function scene(): Promise<Scene> {
  const fleet = await startFleet();
  const { agent, agentId, token } = await fleet.test.join('web-1', {
    protocol: 1,
    instance_id: 'p',
  });
  return { ...fleet, agent, agentId, token };
}

/** The id of a command that the agent works on. */
export async function begun({ perform, agent }: Scene, command: object = {}): Promise<string> {
  await perform('send_agent_command', { ...EXEC, ...command });
  return (await agent.request()).id;
}

/** The id of a command that was answered. */
export async function ended(
  fleet: Scene,
  result: unknown = DONE,
  command: object = {},
): Promise<string> {
  const id = await begun(fleet, command);
  fleet.agent.answer(id, result);
  await eventually(async () =>
    expect(await fleet.perform('get_command', { command_id: id })).toHaveProperty(
      'status',
      'succeeded',
    ),
  );
  return id;
}

/** What the agent puts out for a command. */
export function output(agent: FakeAgent, id: string, seq: number, at: number, data: string): void {
  agent.notify('$/progress', { id, seq, stream: 'stdout', at, data });
}
