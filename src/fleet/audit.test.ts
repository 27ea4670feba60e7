import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { type DatabaseHandle, temporaryDatabase } from '../../test/support/temporary-database.ts';
import { Audit } from './audit.ts';

const END = { status: 'succeeded', durationMs: 1 } as const;

async function begun(handle: DatabaseHandle): Promise<Audit> {
  const audit = new Audit(handle.db.commands, pino({ level: 'silent' }));
  await audit.begin({
    id: 'c1',
    serverId: 'web-1',
    agentId: 'a1',
    actor: 'http',
    origin: null,
    instanceId: null,
    method: 'agent.ping',
    params: {},
    startedAt: 0,
  });
  return audit;
}

async function statusOf({ db }: DatabaseHandle): Promise<string | undefined> {
  return (await db.commands.recent({ limit: 1 }))[0]?.status;
}

describe('the end of a command that the database refuses', () => {
  it('is recorded when the audit is closed, at the latest, and told then', async () => {
    const handle = temporaryDatabase();
    const audit = await begun(handle);
    const told: string[] = [];
    refuse(handle);
    await audit.finish('c1', END, () => told.push('written'));
    await audit[Symbol.asyncDispose]();
    expect(told).toEqual([]);
    expect(await statusOf(allow(handle))).toBe('running');
    await audit[Symbol.asyncDispose]();
    expect(told).toEqual(['written']);
    expect(await statusOf(handle)).toBe('succeeded');
  });

  it('is given up for the oldest when too many wait', async () => {
    const handle = temporaryDatabase();
    const audit = await begun(handle);
    refuse(handle);
    const told = new Set<string>();
    for (let count = 1; count <= 10_001; count += 1) {
      const id = `c${count}`;
      await audit.finish(id, END, () => told.add(id));
    }
    allow(handle);
    await audit[Symbol.asyncDispose]();
    expect(told.size).toBe(10_000);
    expect(told.has('c1')).toBe(false);
    expect(await statusOf(handle)).toBe('running');
  });
});

function refuse({ client }: DatabaseHandle): void {
  client.exec('ALTER TABLE commands RENAME TO away');
}

function allow(handle: DatabaseHandle): DatabaseHandle {
  handle.client.exec('ALTER TABLE away RENAME TO commands');
  return handle;
}
