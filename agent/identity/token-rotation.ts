import { UNUSED_TOKENS_MAX_COUNT } from '../../protocol/limits.ts';
import { type AgentState, tokensOf } from './state.ts';

/**
 * A state with a new token in the first place, and behind it the tokens that may be in force: the one
 * that the hub accepted last, and those it gave since without having seen them used.
 */
export function addToken(
  now: AgentState,
  token: string,
  proven: string | undefined = now.token,
): AgentState {
  if (token === now.token) return now;
  const unused = tokensOf(now).filter((one) => one !== proven && one !== token);
  // The hub may have taken any of them into force without a use, so none is dropped lightly.
  return withTokens(now, [token, ...unused.slice(0, UNUSED_TOKENS_MAX_COUNT)], proven);
}

/**
 * A state after the hub accepted one of its tokens: without the older ones, which are void by that, and
 * without newer ones that the hub did not know. A newer one that came meanwhile stays first.
 */
export function acceptToken(
  now: AgentState,
  accepted: string,
  refused: ReadonlySet<string>,
): AgentState {
  const tokens = tokensOf(now);
  const at = tokens.indexOf(accepted);
  if (at === -1 || tokens.length === 1) return now;
  const newer = tokens.slice(0, at).filter((token) => !refused.has(token));
  return newer.length === 0 ? withTokens(now, [accepted]) : withTokens(now, newer, accepted);
}

function withTokens(
  state: AgentState,
  [token = state.token, ...unused]: readonly string[],
  previous?: string,
): AgentState {
  return {
    ...state,
    token,
    unused_tokens: unused.length === 0 ? undefined : unused,
    previous_token: previous,
  };
}
