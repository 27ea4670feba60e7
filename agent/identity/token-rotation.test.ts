import { describe, expect, it } from 'vitest';
import type { AgentState } from './state.ts';
import { tokensOf } from './state.ts';
import { acceptToken, addToken } from './token-rotation.ts';

const STATE: AgentState = {
  agent_id: 'agent-1',
  token: 'a',
  server_url: 'ws://127.0.0.1/ws/agent',
  registered_at: '2026-01-01T00:00:00.000Z',
  code_sha256: 'abc',
};

const none = new Set<string>();

describe('addToken', () => {
  it('puts the new token before the one that the hub accepts, and keeps the rest', () => {
    expect(addToken(STATE, 'b', 'a')).toEqual({
      ...STATE,
      token: 'b',
      previous_token: 'a',
      unused_tokens: undefined,
    });
  });

  it('changes nothing for the token that is first already', () => {
    const once = addToken(STATE, 'b', 'a');
    expect(addToken(once, 'b', 'a')).toBe(once);
  });

  it('keeps what was never used: the hub may have put it in force when the grace ended', () => {
    const twice = addToken(addToken(STATE, 'b', 'a'), 'c', 'a');
    expect(tokensOf(twice)).toEqual(['c', 'b', 'a']);
    expect(twice.previous_token).toBe('a');
  });

  it('keeps a bounded number of them, the accepted one in any case', () => {
    let state = STATE;
    for (let count = 0; count < 20; count += 1) state = addToken(state, `t${count}`, 'a');
    const tokens = tokensOf(state);
    expect(tokens).toHaveLength(10);
    expect(tokens.slice(0, 2)).toEqual(['t19', 't18']);
    expect(tokens.at(-1)).toBe('a');
  });
});

describe('acceptToken', () => {
  const rotated = addToken(addToken(STATE, 'b', 'a'), 'c', 'a');

  it('drops every older token once the newest was accepted', () => {
    expect(tokensOf(acceptToken(rotated, 'c', none))).toEqual(['c']);
  });

  it('drops newer tokens that the hub did not know', () => {
    expect(tokensOf(acceptToken(rotated, 'a', new Set(['c', 'b'])))).toEqual(['a']);
    expect(tokensOf(acceptToken(rotated, 'b', new Set(['c'])))).toEqual(['b']);
  });

  it('keeps a newer token that came while the older one was on its way', () => {
    const kept = acceptToken(rotated, 'b', none);
    expect(kept).toMatchObject({ token: 'c', previous_token: 'b' });
    expect(tokensOf(kept)).toEqual(['c', 'b']);
  });

  it.each(['a', 'stranger'])('changes nothing when there is nothing to drop (%s)', (accepted) => {
    expect(acceptToken(STATE, accepted, none)).toBe(STATE);
  });
});
