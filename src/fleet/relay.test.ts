import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Caller, CallerGone, type Fleet } from './fleet.ts';
import type { Owner } from './membership.ts';
import { parseArgs } from './operations.ts';
import { Relay } from './relay.ts';
import { RemoteFleet } from './remote-fleet.ts';

const CALLER: Caller = { actor: 'token:ci', origin: '192.0.2.7', access: 'admin' };
const COMMAND = parseArgs('send_agent_command', { server_id: 'web-1', method: 'system.info' });
const log = pino({ level: 'silent' });
const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  while (stops.length > 0) await stops.pop()?.();
});

/** Another process's way to a fleet that answers commands with what `answer` gives. */
async function remote(
  answer: (caller: Caller) => unknown,
  ceiling: Owner['ceiling'] = 'admin',
): Promise<RemoteFleet> {
  const directory = mkdtempSync(join(tmpdir(), 'tomo-relay-'));
  stops.push(() => rmSync(directory, { recursive: true }));
  const perform = (name: string, _args: unknown, caller: Caller): Promise<never> => {
    const result = name === 'describe_owner' ? { pid: 1 } : answer(caller);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stand-in for every operation
    return Promise.resolve(result as never);
  };
  const fleet: Fleet = { perform };
  const path = join(directory, 'tomo.sock');
  const relay = await Relay.listen({ fleet, ceiling }, path, log);
  stops.push(() => relay[Symbol.asyncDispose]());
  const fleetThere = await RemoteFleet.connect(path);
  stops.push(() => fleetThere[Symbol.dispose]());
  return fleetThere;
}

/** An object in an object and so on. */
function nested(depth: number): object {
  let value = {};
  for (let level = 0; level < depth; level += 1) value = { value };
  return value;
}

describe('a fleet in another process', () => {
  it('is told who calls, from where, and the most that this one may do', async () => {
    let told: Caller | undefined;
    const fleet = await remote((caller) => {
      told = caller;
      return {};
    }, 'operate');
    await fleet.perform('send_agent_command', COMMAND, CALLER);
    expect(told).toMatchObject({ actor: 'token:ci', origin: '192.0.2.7', access: 'operate' });
    await fleet.perform('send_agent_command', COMMAND, { actor: 'stdio', access: 'read' });
    expect(told).toMatchObject({ actor: 'stdio', access: 'read' });
    expect(told).not.toHaveProperty('origin');
  });

  it('says of an answer that JSON cannot hold that it is this, and goes on', async () => {
    let answer: unknown = { result: 1n };
    const fleet = await remote(() => answer);
    await expect(fleet.perform('send_agent_command', COMMAND, CALLER)).rejects.toMatchObject({
      name: 'RESULT_TOO_LARGE',
      message: expect.stringContaining('has been done'),
    });
    answer = { status: 'succeeded' };
    expect(await fleet.perform('send_agent_command', COMMAND, CALLER)).toEqual(answer);
  });

  it('answers with what nests however deep, or says that it is too deep', async () => {
    const fleet = await remote(() => nested(100_000));
    const named = await fleet.perform('send_agent_command', COMMAND, CALLER).then(
      () => 'RESULT_TOO_LARGE',
      (error: Error) => error.name,
    );
    expect(named).toBe('RESULT_TOO_LARGE');
  });

  it('says of arguments that JSON cannot hold that nothing was done', async () => {
    let performed = 0;
    const fleet = await remote(() => {
      performed += 1;
      return {};
    });
    const args = { ...COMMAND, params: { amount: 1n } };
    await expect(fleet.perform('send_agent_command', args, CALLER)).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
    });
    expect(performed).toBe(0);
    await fleet.perform('send_agent_command', COMMAND, CALLER);
    expect(performed).toBe(1);
  });

  it('is told of a cancel, and of a caller that is gone only by the end of the connection', async () => {
    const told: AbortSignal[] = [];
    const fleet = await remote(({ signal }) => {
      if (signal !== undefined) told.push(signal);
      return new Promise(() => undefined);
    });
    const [cancel, gone] = [new AbortController(), new AbortController()];
    const calls = [cancel, gone].map(({ signal }) =>
      fleet.perform('send_agent_command', COMMAND, { ...CALLER, signal }),
    );
    const ended = Promise.allSettled(calls);
    await vi.waitFor(() => expect(told).toHaveLength(2));
    gone.abort(new CallerGone());
    cancel.abort();
    await vi.waitFor(() => expect(told[0]?.aborted).toBe(true));
    expect(CallerGone.is({ signal: told[0] })).toBe(false);
    expect(told[1]?.aborted).toBe(false);
    fleet[Symbol.dispose]();
    await vi.waitFor(() => expect(told[1]?.aborted).toBe(true));
    expect(CallerGone.is({ signal: told[1] })).toBe(true);
    await ended;
  });

  it('says of an owner that ended that it is another matter', async () => {
    const fleet = await remote(() => new Promise(() => undefined));
    const call = fleet.perform('send_agent_command', COMMAND, CALLER);
    fleet[Symbol.dispose]();
    await expect(call).rejects.toMatchObject({ name: 'OWNER_UNREACHABLE' });
  });
});
