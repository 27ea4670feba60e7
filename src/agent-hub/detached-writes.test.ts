import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Hello } from '../../protocol/handshake.ts';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { DetachedCommands } from './detached-commands.ts';

const OUTPUT = { stdout: 'done', stderr: '', exit_code: 0 };
const ANSWER = { response: { jsonrpc: '2.0', id: 'c1', result: OUTPUT }, bytes: 9 } as const;
const ARRIVAL: Hello = { type: 'authenticate', token: 't', version: '1', held: [] };
const BEGUN = {
  serverId: 'web-1',
  agentId: 'a1',
  actor: 'http',
  origin: null,
  instanceId: null,
  method: 'system.exec',
  params: {},
  startedAt: 1,
};

describe('a database that refuses', () => {
  it('is waited for with a bounded number of writes', async () => {
    const { db, client } = temporaryDatabase();
    const errors: string[] = [];
    const log = pino({ level: 'error' }, { write: (line: string) => void errors.push(line) });
    const commands = new DetachedCommands({ commands: db.commands, log, onEnded: () => undefined });
    client.exec('ALTER TABLE commands RENAME TO away');
    const done: string[] = [];
    for (const agentId of Array.from({ length: 11 }, (_, index) => `a${index}`)) {
      await commands.went(agentId, 'web-1', ['c1']);
      for (let count = 0; count < 1_001; count += 1) {
        await commands.answered(agentId, ANSWER, () => done.push(agentId));
      }
    }
    const given = errors.filter((error) => error.includes('too much waits'));
    // Said once, and not for each.
    expect([errors.length, given.length]).toEqual([2, 1]);
    client.exec('ALTER TABLE away RENAME TO commands');
    await commands.retry();
    expect(done).toHaveLength(10_000);
    expect(done.filter((agentId) => agentId === 'a9')).toHaveLength(1_000);
    await commands.went('a1', 'web-1', ['c1']);
    expect(errors).toHaveLength(2);
  });

  it('keeps no more bytes of one agent than one frame has, and leaves the others their room', async () => {
    const { db, client } = temporaryDatabase();
    const commands = new DetachedCommands({
      onEnded: () => undefined,
      commands: db.commands,
      log: pino({ level: 'silent' }),
    });
    client.exec('ALTER TABLE commands RENAME TO away');
    const done: string[] = [];
    await commands.went('greedy', 'web-1', ['c1']);
    await commands.went('honest', 'web-2', ['c2']);
    for (const agentId of ['greedy', 'greedy', 'honest']) {
      const large = { ...ANSWER, bytes: 9 * 1024 * 1024 };
      await commands.answered(agentId, large, () => done.push(agentId));
    }
    client.exec('ALTER TABLE away RENAME TO commands');
    await commands.retry();
    expect(done).toEqual(['greedy', 'honest']);
  });

  it('learns of every command whose agent went, however many answers one agent makes up', async () => {
    const { db, client } = temporaryDatabase();
    const commands = new DetachedCommands({
      onEnded: () => undefined,
      commands: db.commands,
      log: pino({ level: 'silent' }),
    });
    await db.commands.begin({ ...BEGUN, id: 'good', agentId: 'honest' });
    await commands.went('evil', 'web-2', ['e1']);
    client.exec('ALTER TABLE commands RENAME TO away');
    for (let count = 0; count < 10_001; count += 1) {
      await commands.answered('evil', ANSWER, () => undefined);
    }
    await commands.went('honest', 'web-1', ['good']);
    client.exec('ALTER TABLE away RENAME TO commands');
    await commands.retry();
    expect(await db.commands.recent({ limit: 9 })).toMatchObject([{ status: 'detached' }]);
  });

  it('still gets the answer of a command that was left behind after an arrival that waits', async () => {
    const { db, client } = temporaryDatabase();
    const commands = new DetachedCommands({
      onEnded: () => undefined,
      commands: db.commands,
      log: pino({ level: 'silent' }),
    });
    for (const id of ['c1', 'c2']) await db.commands.begin({ ...BEGUN, id });
    client.exec('ALTER TABLE commands RENAME TO away');
    await commands.went('a1', 'web-1', ['c1']);
    for (let count = 0; count < 3; count += 1) await commands.came('a1', ARRIVAL, []);
    await commands.went('a1', 'web-1', ['c2']);
    client.exec('ALTER TABLE away RENAME TO commands');
    await commands.retry();
    expect(commands.has('a1')).toBe(true);
    const wasDetached = await new Promise((resolve) => {
      void commands.answered(
        'a1',
        { ...ANSWER, response: { ...ANSWER.response, id: 'c2' } },
        resolve,
      );
    });
    expect(wasDetached).toBe(true);
    const statuses = (await db.commands.recent({ limit: 9 })).map(({ id, status }) => [id, status]);
    expect(Object.fromEntries(statuses)).toEqual({ c1: 'lost', c2: 'succeeded' });
  });
});
