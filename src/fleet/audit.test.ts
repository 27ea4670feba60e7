import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import {
  type DatabaseHandle,
  openHandle,
  temporaryDatabase,
} from '../../test/support/temporary-database.ts';
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

  it('is tried once for all that come while another program locks it, and then written', async () => {
    const handle = temporaryDatabase();
    const audit = await begun(handle);
    const finish = vi.spyOn(handle.db.commands, 'finish');
    const other = openHandle(handle.file).client;
    other.exec('BEGIN IMMEDIATE');
    await audit.finish('other', END);
    const written = new Promise<void>((resolve) => void audit.finish('c1', END, resolve));
    expect(finish).toHaveBeenCalledTimes(1);
    other.exec('ROLLBACK');
    await written;
    expect(await statusOf(handle)).toBe('succeeded');
    await audit.finish('c2', END);
    expect(finish).toHaveBeenCalledTimes(4);
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

describe('the result of a command whose end the database refuses', () => {
  it('can be read meanwhile, and is kept in the end', async () => {
    const handle = temporaryDatabase();
    const audit = await begun(handle);
    const [row] = await handle.db.commands.recent({ limit: 1 });
    refuse(handle);
    await audit.finish('c1', { ...END, result: '[1]' });
    expect(audit.unwrittenResult('c1')).toBe('[1]');
    expect(row && audit.ended(row)).toMatchObject({ status: 'succeeded', durationMs: 1 });
    allow(handle);
    await audit[Symbol.asyncDispose]();
    expect(audit.unwrittenResult('c1')).toBeUndefined();
    expect(row && audit.ended(row)).toMatchObject({ status: 'running' });
    expect(await handle.db.results.read('c1')).toMatchObject({ text: '[1]' });
  });

  it('is left out when too much waits already; the end is not', async () => {
    const handle = temporaryDatabase();
    const audit = await begun(handle);
    refuse(handle);
    const result = JSON.stringify('x'.repeat(20 * 1024 * 1024));
    await audit.finish('other', { ...END, result });
    await audit.finish('c1', { ...END, result });
    expect(audit.unwrittenResult('other')).toBe(result);
    expect(audit.unwrittenResult('c1')).toBeUndefined();
    allow(handle);
    await audit[Symbol.asyncDispose]();
    expect(await statusOf(handle)).toBe('succeeded');
    // There is room again.
    refuse(handle);
    await audit.finish('c1', { ...END, result });
    expect(audit.unwrittenResult('c1')).toBe(result);
    allow(handle);
    await audit[Symbol.asyncDispose]();
  });
});

function refuse({ client }: DatabaseHandle): void {
  client.exec('ALTER TABLE commands RENAME TO away');
}

function allow(handle: DatabaseHandle): DatabaseHandle {
  handle.client.exec('ALTER TABLE away RENAME TO commands');
  return handle;
}
