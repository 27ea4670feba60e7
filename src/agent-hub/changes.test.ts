import { describe, expect, it } from 'vitest';
import { Changes } from './changes.ts';

const never = new AbortController().signal;

async function start() {
  const changes = new Changes();
  const { version } = await changes.since(undefined, never);
  return { changes, version };
}

describe('Changes', () => {
  it('tells at once what changed since a version, each server once', async () => {
    const { changes, version } = await start();
    for (const server of ['a', 'b', 'a']) changes.touch(server);
    const { servers, version: next } = await changes.since(version, never);
    expect(servers).toEqual(['b', 'a']);
    changes.touch('c');
    expect((await changes.since(next, never)).servers).toEqual(['c']);
  });

  it('waits for the next change', async () => {
    const { changes, version } = await start();
    const waiting = changes.since(version, never);
    changes.touch('a');
    expect((await waiting).servers).toEqual(['a']);
  });

  it('answers that nothing changed when the wait is over', async () => {
    const { changes, version } = await start();
    const ending = new AbortController();
    const waiting = changes.since(version, ending.signal);
    ending.abort();
    expect(await waiting).toEqual({ version, servers: [] });
    expect(await changes.since(version, ending.signal)).toEqual({ version, servers: [] });
  });

  it('does not claim to know what changed since a version of another process', async () => {
    const [{ changes }, other] = [await start(), await start()];
    expect((await changes.since(other.version, never)).servers).toBeNull();
    expect((await changes.since('x', never)).servers).toBeNull();
  });

  it('knows of so many servers only, and then says that it does not know', async () => {
    const { changes, version } = await start();
    for (let count = 0; count < 20_001; count += 1) changes.touch(`server-${count}`);
    expect((await changes.since(version, never)).servers).toBeNull();
  });
});
