import { describe, expect, it } from 'vitest';
import type { FakeAgent } from '../../test/support/fake-agent.ts';
import { begun, DONE, ended, output, scene } from '../../test/support/fleet-commands.ts';
import { eventually } from '../../test/support/hub.ts';

const FOLLOW = {
  method: 'docker.containers.logs',
  params: { container: 'web', follow: true },
};

/** Puts out so many bytes in pieces of ten thousand. */
function put(agent: FakeAgent, id: string, bytes: number): void {
  for (let seq = 0; seq * 10_000 < bytes; seq += 1) {
    output(agent, id, seq, seq * 10_000, 'x'.repeat(10_000));
  }
}

describe('the output in an answer', () => {
  it('keeps what was not read when the offset is wrong', async () => {
    const fleet = await scene();
    const id = await begun(fleet, FOLLOW);
    put(fleet.agent, id, 80_000);
    const from = (offset: number) =>
      fleet.perform('get_command', { command_id: id, offset, wait_seconds: 3_600 });
    await eventually(() => expect(fleet.test.hub.outputs.end(id)).toBe(80_000));
    expect((await from(0)).output).toMatchObject({ next_offset: 25_000 });
    await expect(from(999_999)).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
      message: expect.stringContaining('80000 bytes'),
    });
    expect((await from(25_000)).output).toMatchObject({ offset: 25_000, dropped_bytes: 0 });
  });

  it('shows the newest output without an offset', async () => {
    const fleet = await scene();
    const id = await begun(fleet);
    put(fleet.agent, id, 80_000);
    await eventually(() => expect(fleet.test.hub.outputs.end(id)).toBe(80_000));
    const { output: page } = await fleet.perform('get_command', { command_id: id });
    expect(page).toMatchObject({
      offset: 55_000,
      next_offset: 80_000,
      dropped_bytes: 0,
      has_more: false,
    });
  });

  it('shows of a followed log what was not read, as often as it is asked without an offset', async () => {
    const fleet = await scene();
    const id = await begun(fleet, FOLLOW);
    put(fleet.agent, id, 80_000);
    await eventually(() => expect(fleet.test.hub.outputs.end(id)).toBe(80_000));
    await fleet.perform('get_command', { command_id: id, offset: 24_000 });
    for (const wait_seconds of [0, 3_600, 0]) {
      const answer = await fleet.perform('get_command', { command_id: id, wait_seconds });
      expect(answer).toMatchObject({
        status: 'running',
        output: { offset: 24_000, next_offset: 49_000, dropped_bytes: 0, has_more: true },
      });
    }
  });
});

describe('output that is not kept any more', () => {
  const forgotten = async (command: object, result: unknown) => {
    const fleet = await scene();
    const id = await ended(fleet, result, command);
    expect(fleet.test.hub.outputs.has(id)).toBe(false);
    const note = async (more: object = {}) =>
      (await fleet.perform('get_command', { command_id: id, ...more })).note;
    return { fleet, id, note };
  };

  it('of a followed log is said to be gone, and how to see it', async () => {
    const { fleet, id, note } = await forgotten(FOLLOW, { lines: 9, ended: 'timeout' });
    expect(await note()).toMatch(/not kept any more.*again with since/);
    expect(await note({ offset: 25_000 })).toMatch(/from byte 25000 on is not kept.*since/);
    const cancelled = await fleet.perform('cancel_command', { command_id: id });
    expect(cancelled.note).toMatch(/had ended before.*not kept any more/);
  });

  it('of another command is said to be gone if it was asked for', async () => {
    const { note } = await forgotten({}, DONE);
    expect(await note()).toBeUndefined();
    expect(await note({ offset: 0 })).toMatch(/from byte 0 on is not kept.*The result/);
  });

  it('is not missed in a log that was not followed, whose lines are in the result', async () => {
    const params = { container: 'web' };
    const { note } = await forgotten({ ...FOLLOW, params }, { logs: 'x', truncated: false });
    expect(await note()).toBeUndefined();
  });

  it('is not missed by a reader who has read all of it', async () => {
    const fleet = await scene();
    const id = await begun(fleet, FOLLOW);
    const from = (offset: number) =>
      fleet.perform('get_command', { command_id: id, offset, wait_seconds: 3_600 });
    output(fleet.agent, id, 0, 0, 'one\n');
    await from(0);
    const last = from(4);
    fleet.agent.answer(id, { lines: 1, ended: 'timeout' });
    expect(await last).toMatchObject({
      status: 'succeeded',
      output: { parts: [], next_offset: 4 },
    });
    expect((await from(4)).note).toBeUndefined();
  });
});
