import { describe, expect, it } from 'vitest';
import { TomoError } from './errors.ts';
import {
  encodeError,
  encodeNotification,
  encodeRequest,
  encodeResult,
  notificationSchema,
  requestSchema,
  responseSchema,
} from './json-rpc.ts';

describe('what is written', () => {
  it('is a request that the other side reads', () => {
    const request = { id: 'c1', method: 'agent.ping', params: { a: [1] } };
    expect(requestSchema.parse(JSON.parse(encodeRequest(request)))).toEqual({
      jsonrpc: '2.0',
      ...request,
    });
  });

  it('is a notification, which has no id', () => {
    const text = encodeNotification('health.status', { status: 'healthy' });
    expect(JSON.parse(text)).toEqual({
      jsonrpc: '2.0',
      method: 'health.status',
      params: { status: 'healthy' },
    });
    expect(notificationSchema.safeParse(JSON.parse(text)).success).toBe(true);
  });

  it('is a result, null for a method that answers nothing', () => {
    expect(JSON.parse(encodeResult('c1', undefined))).toEqual({
      jsonrpc: '2.0',
      id: 'c1',
      result: null,
    });
    expect(responseSchema.parse(JSON.parse(encodeResult('c1', [1])))).toMatchObject({
      result: [1],
    });
  });

  it('is an error with its code, its name and its facts, but not its cause', () => {
    const error = new TomoError('CONFLICT', 'taken', {
      cause: 'secret',
      facts: { container: 'db' },
    });
    expect(JSON.parse(encodeError('c1', error))).toEqual({
      jsonrpc: '2.0',
      id: 'c1',
      error: { code: 1203, message: 'taken', data: { name: 'CONFLICT', container: 'db' } },
    });
    expect(JSON.parse(encodeError(null, error))).toMatchObject({ id: null });
  });
});

describe('what is read', () => {
  const base = { jsonrpc: '2.0' };
  it.each([
    ['another version', { jsonrpc: '1.0', id: 'a', method: 'm' }],
    ['no version', { id: 'a', method: 'm' }],
    ['a number as id', { ...base, id: 1, method: 'm' }],
    ['an empty id', { ...base, id: '', method: 'm' }],
    ['an endless id', { ...base, id: 'x'.repeat(129), method: 'm' }],
    ['no method', { ...base, id: 'a' }],
    ['params in an array', { ...base, id: 'a', method: 'm', params: [1] }],
  ])('is no request with %s', (_title, message) => {
    expect(requestSchema.safeParse(message).success).toBe(false);
  });

  it.each([
    ['neither result nor error', { ...base, id: 'a' }],
    ['an error of another shape', { ...base, id: 'a', error: 'no' }],
    [
      'an error whose code is no whole number',
      { ...base, id: 'a', error: { code: 1.5, message: '' } },
    ],
    ['no id', { ...base, result: 1 }],
  ])('is no response with %s', (_title, message) => {
    expect(responseSchema.safeParse(message).success).toBe(false);
  });

  it('is an error when a response has both a result and an error', () => {
    const both = { ...base, id: 'a', result: 1, error: { code: 1, message: 'no' } };
    expect(responseSchema.parse(both)).not.toHaveProperty('result');
  });

  it('is no notification when it has an id', () => {
    expect(notificationSchema.safeParse({ ...base, id: 'a', method: 'm' }).success).toBe(false);
  });

  it('keeps unknown fields out', () => {
    expect(requestSchema.parse({ ...base, id: 'a', method: 'm', extra: 1 })).not.toHaveProperty(
      'extra',
    );
  });
});
