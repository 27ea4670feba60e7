import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ceiling } from './ceiling.ts';
import { KeptState } from './kept-state.ts';
import { type AgentState, StateFile } from './state.ts';

const log = pino({ level: 'silent' });
const STATE: AgentState = {
  agent_id: 'agent-1',
  token: 'token-1',
  server_url: 'ws://127.0.0.1/ws/agent',
  registered_at: '2026-01-01T00:00:00.000Z',
};

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-ceiling-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function start(given: 'read' | 'operate' | 'admin' = 'admin', stored = STATE) {
  const file = new StateFile(directory, log);
  await file.save(stored);
  return new Ceiling(given, new KeptState(file, stored), log);
}

async function kept(): Promise<unknown> {
  const text = await readFile(path.join(directory, 'agent.json'), 'utf8');
  return (JSON.parse(text) as AgentState).access;
}

/** So that nothing can be written any more. */
async function breakDirectory(): Promise<void> {
  await rm(directory, { recursive: true });
  await writeFile(directory, '');
}

describe('Ceiling', () => {
  it('is the lower of what was given and what was kept', async () => {
    expect((await start('admin')).access).toBe('admin');
    expect((await start('admin', { ...STATE, access: 'read' })).access).toBe('read');
    expect((await start('read', { ...STATE, access: 'operate' })).access).toBe('read');
  });

  it('is lowered at once and for good, and never raised', async () => {
    const ceiling = await start();
    const lowering = ceiling.lower('operate');
    expect(ceiling.access).toBe('operate');
    await lowering;
    expect(await kept()).toBe('operate');
    await expect(ceiling.lower('admin')).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
      facts: { granted: 'operate', access: 'admin' },
    });
    await ceiling.lower('operate');
    await ceiling.lower('read');
    expect(await kept()).toBe('read');
  });

  it('says so when it is lowered but cannot be kept', async () => {
    const ceiling = await start();
    await breakDirectory();
    await expect(ceiling.lower('read')).rejects.toMatchObject({ name: 'INTERNAL_ERROR' });
    expect(ceiling.access).toBe('read');
  });

  it('follows a welcome downwards only', async () => {
    const ceiling = await start('operate');
    await ceiling.welcomed({ type: 'authenticated' });
    await ceiling.welcomed({ type: 'authenticated', access: 'admin' });
    expect([ceiling.access, await kept()]).toEqual(['operate', undefined]);
    await ceiling.welcomed({ type: 'authenticated', access: 'read' });
    expect([ceiling.access, await kept()]).toEqual(['read', 'read']);
    await ceiling.welcomed({ type: 'authenticated', access: 'operate' });
    expect(ceiling.access).toBe('read');
  });

  it('goes back to what was given when the agent registers anew', async () => {
    const ceiling = await start('admin', { ...STATE, access: 'read' });
    await ceiling.welcomed({ type: 'registered' });
    expect(ceiling.access).toBe('admin');
  });

  it('holds what a welcome says even if it cannot be kept', async () => {
    const ceiling = await start();
    await breakDirectory();
    await ceiling.welcomed({ type: 'authenticated', access: 'read' });
    expect(ceiling.access).toBe('read');
  });
});
