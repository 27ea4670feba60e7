import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AgentState, hashCode, StateFile } from './state.ts';

const log = pino({ level: 'silent' });
const STATE: AgentState = {
  agent_id: 'agent-1',
  token: 'token-1',
  server_url: 'ws://127.0.0.1/ws/agent',
  registered_at: '2026-01-01T00:00:00.000Z',
  code_sha256: 'abc',
};

let root = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tomo-state-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

describe('StateFile', () => {
  it('gives back what it saved, for the owner only, and leaves nothing else', async () => {
    const directory = path.join(root, 'a', 'b');
    const file = new StateFile(directory, log);
    expect(await file.load()).toBeUndefined();
    await file.assertWritable();
    await file.save(STATE);
    expect(await file.load()).toEqual(STATE);
    expect(await readdir(directory)).toEqual(['agent.json']);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(path.join(directory, 'agent.json'))).mode & 0o777).toBe(0o600);
  });

  it('replaces a state, whatever a crash left behind', async () => {
    const file = new StateFile(root, log);
    await file.save(STATE);
    await writeFile(path.join(root, 'agent.json.tmp'), 'half', { mode: 0o644 });
    await file.save({ ...STATE, token: 'token-2' });
    expect(await file.load()).toMatchObject({ token: 'token-2' });
    expect((await stat(path.join(root, 'agent.json'))).mode & 0o777).toBe(0o600);
  });

  it('reads a file of the first deployment', async () => {
    const { code_sha256: _, ...old } = STATE;
    await writeFile(path.join(root, 'agent.json'), JSON.stringify(old));
    expect(await new StateFile(root, log).load()).toEqual(old);
  });

  it.each([
    ['half a file', '{"agent_id":"a'],
    ['another shape', '{"agent_id":"a"}'],
  ])('sets %s aside and takes it as absent', async (_, text) => {
    await writeFile(path.join(root, 'agent.json'), text);
    expect(await new StateFile(root, log).load()).toBeUndefined();
    const [aside = ''] = await readdir(root);
    expect(aside).toMatch(/^agent\.json\.unreadable-/);
    expect(await readFile(path.join(root, aside), 'utf8')).toBe(text);
  });

  it('takes a state as absent that can be neither read nor set aside', async () => {
    // So deep that agent.json still fits the longest path of Linux, and a longer name does not.
    const long = path.join(root, ...Array.from({ length: 15 }, () => 'y'.repeat(255)));
    const rest = 4_095 - long.length - '//agent.json'.length;
    const deep = path.join(long, 'z'.repeat(Math.min(rest, 255)));
    await mkdir(deep, { recursive: true });
    await writeFile(path.join(deep, 'agent.json'), '{');
    expect(await new StateFile(deep, log).load()).toBeUndefined();
    expect(await readdir(deep)).toEqual(['agent.json']);
  });

  it('forgets', async () => {
    const file = new StateFile(root, log);
    await file.save(STATE);
    await file.forget([STATE.token]);
    expect(await file.load()).toBeUndefined();
    await file.forget([STATE.token]);
  });

  it('leaves the registration of another token where it is', async () => {
    const file = new StateFile(root, log);
    await file.save(STATE);
    await file.forget(['another']);
    expect(await file.load()).toEqual(STATE);
    expect(await readdir(root)).toEqual(['agent.json']);
  });

  it('knows its registration by any of its tokens', async () => {
    const file = new StateFile(root, log);
    expect(await file.holdsAnother(['x'])).toBe(false);
    await file.save({ ...STATE, previous_token: 'token-0', unused_tokens: ['token-u'] });
    for (const token of ['token-1', 'token-0', 'token-u']) {
      expect(await file.holdsAnother([token])).toBe(false);
    }
    expect(await file.holdsAnother(['x'])).toBe(true);
    await file.forget(['token-0']);
    expect(await readdir(root)).toEqual([]);
  });

  it('takes a ceiling that it cannot read as the lowest', async () => {
    await writeFile(path.join(root, 'agent.json'), JSON.stringify({ ...STATE, access: 'root' }));
    expect(await new StateFile(root, log).load()).toHaveProperty('access', 'read');
  });

  it('forgets a file that holds no registration any more', async () => {
    const file = new StateFile(root, log);
    await writeFile(path.join(root, 'agent.json'), 'nonsense');
    await file.forget([STATE.token]);
    expect(await readdir(root)).toEqual([]);
  });

  it('keeps a candidate’s registration apart until it is promoted', async () => {
    const old = new StateFile(root, log);
    await old.save(STATE);
    const code_sha256 = hashCode('TICKET');
    const next = { ...STATE, token: 'token-2', code_sha256 };
    const candidate = new StateFile(root, log);
    await candidate.save(next, { isCandidate: true });
    expect(candidate.isCandidate).toBe(true);
    expect(await old.load()).toEqual(STATE);
    expect((await stat(path.join(root, 'agent.next.json'))).mode & 0o777).toBe(0o600);

    // Only the process that was started with its ticket is that candidate.
    expect(await new StateFile(root, log).load('OTHER')).toEqual(STATE);
    const again = new StateFile(root, log);
    expect(await again.load('ticket')).toEqual(next);
    expect(again.isCandidate).toBe(true);

    await again.promote();
    expect(again.isCandidate).toBe(false);
    expect(await readdir(root)).toEqual(['agent.json']);
    expect(await new StateFile(root, log).load()).toEqual(next);
    // What the replaced process does at the same time.
    await old.forget([STATE.token]);
    expect(await again.load()).toEqual(next);
  });

  it('refuses to promote what is not there', async () => {
    const file = new StateFile(root, log);
    await file.save(STATE, { isCandidate: true });
    await rm(path.join(root, 'agent.next.json'));
    await expect(file.promote()).rejects.toHaveProperty('name', 'StateNotWritableError');
  });

  it('refuses to be written below a regular file', async () => {
    await writeFile(path.join(root, 'file'), '');
    const file = new StateFile(path.join(root, 'file', 'data'), log);
    const refused = { name: 'StateNotWritableError' };
    expect(await file.load()).toBeUndefined();
    await expect(file.assertWritable()).rejects.toMatchObject(refused);
    await expect(file.save(STATE)).rejects.toMatchObject(refused);
    await expect(file.forget([STATE.token])).rejects.toMatchObject(refused);
  });
});
