import { SdkError, SdkErrorCode } from '@modelcontextprotocol/server';
import { describe, expect, it } from 'vitest';
import { CallerGone } from '../fleet/fleet.ts';
import { callerSignal } from './caller-signal.ts';

const CLOSED = new SdkError(SdkErrorCode.ConnectionClosed, 'Connection closed');
const HTTP = { http: {} };
const SESSION = { ...HTTP, sessionId: 's1' };

/** Whether a caller is taken for gone, rather than for one that cancelled, after its call ended so. */
function isGone(reason: unknown, call: object = {}, isWelcome = true): boolean {
  const request = new AbortController();
  const signal = callerSignal({ mcpReq: request, ...call }, () => isWelcome);
  expect(signal.aborted).toBe(false);
  request.abort(reason);
  expect(signal.aborted).toBe(true);
  return CallerGone.is({ signal });
}

describe('a call that ends before its answer', () => {
  it('is cancelled when the client says so, whatever it says', () => {
    for (const call of [{}, HTTP, SESSION]) {
      expect(isGone(undefined, call)).toBe(false);
      expect(isGone('changed my mind', call)).toBe(false);
    }
  });

  it('has lost its caller when the connection of stdio or of a session closes', () => {
    expect(isGone(CLOSED)).toBe(true);
    expect(isGone(CLOSED, SESSION)).toBe(true);
  });

  it('is cancelled when a request without a session closes: there is no other way to cancel it', () => {
    expect(isGone(CLOSED, HTTP)).toBe(false);
  });

  it('is cancelled when the connection was closed because the caller may not call any more', () => {
    expect(isGone(CLOSED, SESSION, false)).toBe(false);
  });

  it('is known to have ended if it had before anybody listened', () => {
    const signal = callerSignal({ mcpReq: { signal: AbortSignal.abort(CLOSED) } }, () => true);
    expect(CallerGone.is({ signal })).toBe(true);
  });
});
