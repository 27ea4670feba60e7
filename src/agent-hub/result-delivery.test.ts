import { describe, expect, it, vi } from 'vitest';
import { PIECE_MAX_BYTES } from '../../protocol/limits.ts';
import { type FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { startHub } from '../../test/support/hub.ts';
import { LOGS, streaming } from '../../test/support/streaming-command.ts';
import { DatabaseError } from '../db/errors.ts';

const HELLO = { protocol: 1, instance_id: 'p1' };

function sendPieces(agent: FakeAgent, id: string, texts: readonly string[]): void {
  for (const [seq, data] of texts.entries()) {
    agent.notify('$/progress', { id, seq, stream: 'result', data });
  }
}

function finish(agent: FakeAgent, id: string, pieces: number): void {
  agent.send({ jsonrpc: '2.0', id, result: null, pieces });
}

function cut(text: string): string[] {
  return text.match(new RegExp(`.{1,${PIECE_MAX_BYTES}}`, 'gs')) ?? [];
}

describe('a large result', () => {
  it('comes in pieces, while another command of the agent is answered', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { agent, agentId } = joined;
    const { id, call } = await streaming(test, joined, 'none');
    const large = { ...LOGS, logs: 'x'.repeat(10 * 1024 * 1024) };
    const texts = cut(JSON.stringify(large));
    const other = test.call(agentId, { id: 'other' });
    await agent.request();
    sendPieces(agent, id, texts.slice(0, 100));
    agent.answer('other', PONG);
    expect(await other).toEqual(PONG);
    sendPieces(agent, id, texts.slice(100));
    finish(agent, id, texts.length);
    expect(await call).toEqual(large);
    expect(test.hub.counters).toMatchObject({ strayAnswers: 0, strayProgress: 0 });
  });

  it('is brought in pieces by an agent that was away, and is kept with its row', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined, 'none');
    // Half of them came before the socket closed: they do not count.
    sendPieces(joined.agent, id, ['{"logs":']);
    joined.agent.cut();
    await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    const { agent } = await test.rejoin(joined.token, { ...HELLO, held: [id] });
    const result = { ...LOGS, logs: 'x'.repeat(200_000) };
    const text = JSON.stringify(result);
    sendPieces(agent, id, cut(text));
    finish(agent, id, cut(text).length);
    await test.hub.waitForEnd(id, AbortSignal.timeout(20_000));
    expect(await test.database.db.commands.find(id)).toMatchObject({
      status: 'succeeded',
      resultBytes: text.length,
    });
    const kept = await test.database.db.results.read(id);
    expect(JSON.parse(kept?.text ?? '')).toEqual(result);
  });

  it('of a command that only the agent says it holds is not kept', async () => {
    const test = await startHub();
    const { token, agentId } = await test.join('web-1', HELLO);
    const { agent } = await test.rejoin(token, { ...HELLO, held: ['made up'] });
    sendPieces(agent, 'made up', ['x'.repeat(PIECE_MAX_BYTES), 'x']);
    const call = test.call(agentId, { id: 'last' });
    agent.answer('last', PONG);
    await call;
    expect(test.hub.counters).toMatchObject({ strayProgress: 2 });
  });

  it('is kept if the database refuses to say whether its command is known', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined, 'none');
    await test.hub.close();
    await expect(call).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    const later = await startHub({ database: test.database });
    const { commands } = test.database.db;
    const refusing = vi
      .spyOn(commands, 'detachedOf')
      .mockRejectedValue(new DatabaseError('locked', 'locked'));
    const { agent } = await later.rejoin(joined.token, { ...HELLO, held: [id] });
    refusing.mockRestore();
    const text = JSON.stringify(LOGS);
    sendPieces(agent, id, cut(text));
    finish(agent, id, cut(text).length);
    await later.hub.telemetry.flush();
    await later.hub.waitForEnd(id, AbortSignal.timeout(20_000));
    expect(await commands.find(id)).toMatchObject({ status: 'succeeded' });
  });

  const broken: [string, string[], number][] = [
    ['is no JSON', ['{"logs":', '}'], 2],
    ['has another number of pieces', ['{"logs":', '""}'], 3],
    ['nests too deep', ['{"logs":"","x":', '['.repeat(64), ']'.repeat(64), '}'], 4],
    ['is not what the catalogue says', ['{"logs"', ':1}'], 2],
  ];
  it.each(broken)('fails the call with INVALID_ANSWER when it %s', async (_title, texts, count) => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined, 'none');
    sendPieces(joined.agent, id, texts);
    finish(joined.agent, id, count);
    await expect(call).rejects.toMatchObject({ name: 'INVALID_ANSWER', code: 1009 });
  });

  it('of more than a frame fails the call, and the rest of it is not kept', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const { id, call } = await streaming(test, joined, 'none');
    const texts = Array.from({ length: 260 }, () => 'x'.repeat(PIECE_MAX_BYTES));
    sendPieces(joined.agent, id, texts);
    finish(joined.agent, id, texts.length);
    await expect(call).rejects.toMatchObject({ name: 'INVALID_ANSWER' });
    expect(test.hub.counters).toMatchObject({ strayProgress: 4 });
  });

  it('that nobody waits for any more is not kept', async () => {
    const test = await startHub();
    const joined = await test.join('web-1', HELLO);
    const stop = new AbortController();
    const call = test.call(joined.agentId, { id: 'given up', signal: stop.signal });
    await joined.agent.request();
    sendPieces(joined.agent, 'given up', ['{"status":']);
    const barrier = test.call(joined.agentId, { id: 'barrier' });
    joined.agent.answer('barrier', PONG);
    await barrier;
    stop.abort();
    await expect(call).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    sendPieces(joined.agent, 'given up', ['"ok"}']);
    finish(joined.agent, 'given up', 2);
    const last = test.call(joined.agentId, { id: 'last' });
    joined.agent.answer('last', PONG);
    await last;
    expect(test.hub.counters).toMatchObject({ strayAnswers: 1, strayProgress: 1 });
  });
});
