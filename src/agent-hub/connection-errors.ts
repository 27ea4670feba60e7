import { errorName, TomoError } from '../../protocol/errors.ts';
import {
  CALLS_MAX_COUNT,
  ERROR_DATA_MAX_BYTES,
  ERROR_TEXT_MAX_CHARS,
  FRAME_MAX_BYTES,
  JSON_VALUES_MAX_COUNT,
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

/** The same of a command whose answer the agent keeps until it is back. */
export function detached(serverId: string): TomoError {
  return new TomoError(
    'CONNECTION_LOST',
    `The connection to ${serverId} closed while the command ran. It may still run there; its answer is collected when the agent is back. Before you repeat it, see how it ended: get_command_history with server_id "${serverId}".`,
    { facts: { detached: true, server_id: serverId } },
  );
}

/** Whether a call ended with that one. */
export function isDetached(error: unknown): boolean {
  return error instanceof TomoError && error.facts['detached'] === true;
}

/** Why a command ends whose agent came back without its answer. */
export function answerLost(): TomoError {
  return new TomoError(
    'ANSWER_LOST',
    'The agent came back without the answer: it never got the command, its process ended, or it had to drop it. The command may have taken effect: check before you repeat it.',
  );
}

/** Why a command ends whose agent has been away for too long. */
export function neverCameBack(): TomoError {
  return new TomoError(
    'ANSWER_LOST',
    'The agent did not bring the answer in time. The command may have taken effect: check before you repeat it.',
  );
}

/** Why a command ends that no call can still wait for, though its row says that it runs. */
export function endNotRecorded(): TomoError {
  return new TomoError(
    'ANSWER_LOST',
    'How the command ended could not be recorded. It may have taken effect: check before you repeat it.',
  );
}

export function revokedMeanwhile(): TomoError {
  return new TomoError('AGENT_REVOKED', 'The agent was revoked while the command ran.');
}

/** The error of a call past CALLS_MAX_COUNT. */
export function tooManyCalls(): TomoError {
  return new TomoError(
    'LIMIT_REACHED',
    `${CALLS_MAX_COUNT} calls wait for agents already. Try again later.`,
    { facts: { limit: CALLS_MAX_COUNT } },
  );
}

export function requestTooLarge(method: string): TomoError {
  return new TomoError(
    'LIMIT_REACHED',
    `The params of ${method} are more than the ${FRAME_MAX_BYTES} bytes or ${JSON_VALUES_MAX_COUNT} values that one message may have.`,
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
