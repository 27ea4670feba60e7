import { describe, expect, it } from 'vitest';
import { LOG_BATCHES_MAX_COUNT } from '../../protocol/limits.ts';
import { logBatchSchema } from '../../protocol/log-collection.ts';
import { eventually } from '../../test/support/hub.ts';
import { LogFeed } from './log-feed.ts';
import type { CollectedLine } from './open-batch.ts';

const open = new AbortController().signal;

function line(text: string): CollectedLine {
  const container = { id: 'c1', name: 'web' };
  const place = { at: '1700000000000000000', n: 0 };
  return { container, line: { stream: 'stdout', place, text, isCut: false, isLost: false } };
}

/** A feed with a session that takes what it is sent. */
function start() {
  const stored: string[] = [];
  const feed = new LogFeed({
    onAttached: () => undefined,
    onStored: (lines) => stored.push(...Array.from(lines, ({ line: { text } }) => text)),
    intervalMs: 1,
    resendMs: 60_000,
  });
  const attach = () => {
    const sent: number[] = [];
    const detach = feed.attach((_method, params) => {
      sent.push(logBatchSchema.parse(params).batch);
    });
    return { sent, detach };
  };
  return { feed, stored, attach, ack: (batch: number) => feed.notified('logs.ack', { batch }) };
}

/** One line in a batch of its own, for as many as may be on their way. */
async function fill({ feed, ack, attach }: ReturnType<typeof start>) {
  const { sent, detach } = attach();
  for (let batch = 1; batch <= LOG_BATCHES_MAX_COUNT + 1; batch += 1) {
    await feed.put(line(`line ${batch}`), open);
    await eventually(() => expect(sent).toContain(batch));
    if (batch === 1) ack(1);
  }
  detach();
  return sent;
}

describe('LogFeed', () => {
  it('sends all that was not acknowledged on a new session, in order and none left out', async () => {
    const started = start();
    const sent = await fill(started);
    expect(sent).toEqual([1, 2, 3, 4, 5]);
    const again = started.attach();
    expect(again.sent).toEqual([2]);
    started.ack(2);
    expect(again.sent).toEqual([2, 3, 4, 5]);
    started.ack(5);
    expect(started.stored).toEqual([1, 2, 3, 4, 5].map((batch) => `line ${batch}`));
    started.feed[Symbol.dispose]();
  });

  it('ignores acknowledgements of what it did not send', async () => {
    const started = start();
    await fill(started);
    started.ack(1);
    started.feed.notified('logs.ack', { batch: 'all' });
    started.feed.notified('other', { batch: 9 });
    expect(started.stored).toEqual(['line 1']);
    started.feed[Symbol.dispose]();
  });

  it('lets whoever waits for room go when that one gives up', async () => {
    const started = start();
    const giving = new AbortController();
    const big = 'x'.repeat(16_000);
    const filling = (async () => {
      for (;;) await started.feed.put(line(big), giving.signal);
    })();
    giving.abort(new Error('given up'));
    await expect(filling).rejects.toThrow('given up');
    started.feed[Symbol.dispose]();
  });
});
