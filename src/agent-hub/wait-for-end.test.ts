import { describe, expect, it } from 'vitest';
import { eventually, type Joined, startHub, type TestHub } from '../../test/support/hub.ts';
import { LOGS, streaming } from '../../test/support/streaming-command.ts';

const HELLO = { protocol: 1, instance_id: 'p1' };

/** A command whose agent's connection was cut. */
async function detached(): Promise<{ test: TestHub; joined: Joined; id: string }> {
  const test = await startHub();
  const joined = await test.join('web-1', HELLO);
  const { id, call } = await streaming(test, joined, 'none');
  joined.agent.cut();
  await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
  await eventually(async () => expect(await statusOf(test, id)).toBe('detached'));
  return { test, joined, id };
}

async function statusOf(test: TestHub, id: string): Promise<string | undefined> {
  return (await test.database.db.commands.find(id))?.status;
}

function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

describe('a wait for the end of a detached command', () => {
  it('is over for all who wait when the agent brings the answer, and at once afterwards', async () => {
    const { test, joined, id } = await detached();
    const waits = [test.hub.waitForEnd(id, soon()), test.hub.waitForEnd(id, soon())];
    const { agent } = await test.rejoin(joined.token, { ...HELLO, held: [id] });
    agent.answer(id, LOGS);
    await Promise.all(waits);
    expect(await statusOf(test, id)).toBe('succeeded');
    await test.hub.waitForEnd(id, soon());
  });

  it('is over when the agent comes back without it, and when it is revoked', async () => {
    const returned = await detached();
    const lost = returned.test.hub.waitForEnd(returned.id, soon());
    await returned.test.rejoin(returned.joined.token, HELLO);
    await lost;
    expect(await statusOf(returned.test, returned.id)).toBe('lost');
    const revoked = await detached();
    const end = revoked.test.hub.waitForEnd(revoked.id, soon());
    await revoked.test.hub.revoke(revoked.joined.agentId);
    await end;
    expect(await statusOf(revoked.test, revoked.id)).toBe('lost');
  });

  it('is over at once for a command that there is not', async () => {
    const test = await startHub();
    await test.hub.waitForEnd('unknown', soon());
  });

  it('ends with its signal', async () => {
    const { test, id } = await detached();
    const stop = new AbortController();
    const wait = test.hub.waitForEnd(id, stop.signal);
    stop.abort();
    await expect(wait).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });

  it('fails when the database refuses', async () => {
    const { test, id } = await detached();
    test.database.client.exec('ALTER TABLE commands RENAME TO away');
    await expect(test.hub.waitForEnd(id, AbortSignal.timeout(10))).rejects.toThrow();
    test.database.client.exec('ALTER TABLE away RENAME TO commands');
  });
});
