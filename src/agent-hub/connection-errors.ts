import { errorName, TomoError } from '../../protocol/errors.ts';
import {
  ERROR_DATA_MAX_BYTES,
  ERROR_TEXT_MAX_CHARS,
  FRAME_MAX_BYTES,
} from '../../protocol/limits.ts';
import { jsonBytes } from './json-bytes.ts';

/** The error of a call that cannot be sent. */
export function notConnected(): TomoError {
  return new TomoError('AGENT_NOT_CONNECTED', 'The agent is not connected.');
}

/** The error of a call whose agent's socket closed. */
export function connectionLost(): TomoError {
  return new TomoError(
    'CONNECTION_LOST',
    'The connection to the agent closed before it answered. The command may have taken effect: check before you repeat it.',
  );
}

export function requestTooLarge(method: string): TomoError {
  return new TomoError(
    'LIMIT_REACHED',
    `The params of ${method} are larger than the ${FRAME_MAX_BYTES} bytes that one message may have.`,
    { facts: { method } },
  );
}

export function busy(why: string): TomoError {
  return new TomoError('LIMIT_REACHED', `The agent is busy: ${why}. Try again later.`);
}

/** The agent's own error: callers, their models and the audit get no more of it than has use. */
export function answeredError(error: { code: number; message: string; data?: unknown }): TomoError {
  const { code, message, data } = error;
  const keepsData = data !== undefined && jsonBytes(data) <= ERROR_DATA_MAX_BYTES;
  return new TomoError(errorName(code), shortened(message), {
    facts: { agent_code: code, ...(keepsData ? { data } : {}) },
  });
}

export function notForTheHub(method: string): TomoError {
  return new TomoError('METHOD_NOT_FOUND', `The hub has no method "${method.slice(0, 64)}".`);
}

function shortened(text: string): string {
  if (text.length <= ERROR_TEXT_MAX_CHARS) return text;
  // A cut inside a character leaves half of it, which is no text.
  return `${text.slice(0, ERROR_TEXT_MAX_CHARS).toWellFormed()}…`;
}
