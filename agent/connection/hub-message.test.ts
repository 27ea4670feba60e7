import { describe, expect, it } from 'vitest';
import { parseHubMessage } from './hub-message.ts';

const text = (message: unknown) => parseHubMessage(JSON.stringify(message), false);

describe('parseHubMessage', () => {
  it('knows requests and notifications', () => {
    const request = { jsonrpc: '2.0', id: 'a', method: 'agent.ping', params: { x: 1 } };
    expect(text({ ...request, extra: true })).toEqual({ kind: 'request', request });
    const notification = { jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 'a' } };
    expect(text(notification)).toEqual({ kind: 'notification', notification });
  });

  it.each([
    ['not JSON', 'nonsense', null, 'PARSE_ERROR'],
    ['very deep', '['.repeat(100_000) + ']'.repeat(100_000), null, 'INVALID_REQUEST'],
    ['no object', '7', null, 'INVALID_REQUEST'],
    ['a batch', '[]', null, 'INVALID_REQUEST'],
    ['of another version', '{"jsonrpc":"1.0","id":"a","method":"x"}', 'a', 'INVALID_REQUEST'],
    ['without a method', '{"jsonrpc":"2.0","id":"a"}', 'a', 'INVALID_REQUEST'],
    ['with a numeric id', '{"jsonrpc":"2.0","id":7,"method":"x"}', null, 'INVALID_REQUEST'],
    [
      'with a list of params',
      '{"jsonrpc":"2.0","id":"a","method":"x","params":[1]}',
      'a',
      'INVALID_REQUEST',
    ],
  ])('refuses a message %s', (_, raw, id, name) => {
    const message = parseHubMessage(raw, false);
    expect(message).toMatchObject({ kind: 'invalid', id, error: { name } });
  });

  it('refuses, without parsing it, what nests too deep or holds too much', () => {
    const wide = `{"jsonrpc":"2.0","id":"a","method":"x","params":{"l":[${'0,'.repeat(250_000)}0]}}`;
    const deep = `{"jsonrpc":"2.0","id":"a","method":"x","params":{"l":${'['.repeat(64)}`;
    for (const raw of [wide, deep]) {
      expect(parseHubMessage(raw, false)).toMatchObject({
        kind: 'invalid',
        id: null,
        error: { name: 'INVALID_REQUEST' },
      });
    }
  });

  it('refuses a binary frame', () => {
    expect(parseHubMessage('{}', true)).toMatchObject({
      kind: 'invalid',
      id: null,
      error: { name: 'INVALID_REQUEST' },
    });
  });

  it.each([
    { jsonrpc: '2.0', id: 'a', result: null },
    { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'no' } },
  ])('leaves an answer unanswered', (answer) => {
    expect(text(answer)).toEqual({ kind: 'answer' });
  });
});
