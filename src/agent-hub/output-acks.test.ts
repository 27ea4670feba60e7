import { describe, expect, it } from 'vitest';
import { SEND_BACKLOG_MAX_BYTES } from '../../protocol/limits.ts';
import { eventually } from '../../test/support/hub.ts';
import { OutputAcks } from './output-acks.ts';

interface Ack {
  readonly id: string;
  readonly bytes: number;
}

function withAcks(backlog: { bytes: number }) {
  const sent: object[] = [];
  const acks = new OutputAcks({
    notify: (_method, params) => {
      sent.push(params);
      return true;
    },
    backlogBytes: () => backlog.bytes,
  });
  return { acks, sent };
}

describe('acknowledgements of output', () => {
  it('go out once for all that came together, with the furthest place', async () => {
    const { acks, sent } = withAcks({ bytes: 0 });
    for (const { id, bytes } of [
      { id: 'a', bytes: 1 },
      { id: 'a', bytes: 3 },
      { id: 'a', bytes: 2 },
      { id: 'b', bytes: 7 },
    ] satisfies Ack[]) {
      acks.taken(id, bytes);
    }
    await eventually(() => expect(sent).not.toEqual([]));
    expect(sent).toEqual([
      { id: 'a', bytes: 3 },
      { id: 'b', bytes: 7 },
    ]);
  });

  it('wait for an agent that does not read, and are not many then', async () => {
    const backlog = { bytes: SEND_BACKLOG_MAX_BYTES + 1 };
    const { acks, sent } = withAcks(backlog);
    acks.taken('a', 1);
    await new Promise((resolve) => setImmediate(resolve));
    acks.taken('a', 2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual([]);
    backlog.bytes = 0;
    await eventually(() => expect(sent).toEqual([{ id: 'a', bytes: 2 }]));
  });

  it('are not sent any more when the socket has gone', async () => {
    const { acks, sent } = withAcks({ bytes: 0 });
    acks.taken('a', 1);
    acks[Symbol.dispose]();
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual([]);
  });
});
