import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { TomoError } from '../../protocol/errors.ts';
import { HANDSHAKE_MAX_BYTES } from '../../protocol/limits.ts';
import { frameText } from './frame-text.ts';

/**
 * The first text frame of a socket, which is paused when it arrives: an agent says no more until it
 * is answered, and by then the next listener is there. Rejects with a TomoError when the agent is too
 * slow or sends something else, with undefined when the socket closes.
 */
export function firstMessage(
  socket: WebSocket,
  stream: Duplex,
  timeoutMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const end = (): void => {
      clearTimeout(timer);
      stream.off('data', onBytes);
      socket.off('message', onMessage).off('close', onClose);
    };
    const refuse = (error: TomoError | undefined): void => {
      end();
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- a closed socket needs no answer
      reject(error);
    };
    const onBytes = (chunk: Buffer): void => {
      bytes += chunk.byteLength;
      if (bytes > HANDSHAKE_MAX_BYTES) refuse(tooLarge());
    };
    const onMessage = (data: RawData, isBinary: boolean): void => {
      const text = frameText(data, isBinary);
      if (text === undefined) return refuse(notText());
      if (Buffer.byteLength(text) > HANDSHAKE_MAX_BYTES) return refuse(tooLarge());
      end();
      socket.pause();
      resolve(text);
    };
    const onClose = (): void => refuse(undefined);
    const timer = setTimeout(() => refuse(tooSlow(timeoutMs)), timeoutMs);
    stream.on('data', onBytes);
    socket.on('message', onMessage).on('close', onClose);
  });
}

function tooSlow(timeoutMs: number): TomoError {
  return new TomoError(
    'HANDSHAKE_TIMED_OUT',
    `No first message within ${timeoutMs / 1_000} s: send "register" or "authenticate" after opening the socket.`,
  );
}

function tooLarge(): TomoError {
  return new TomoError(
    'INVALID_HANDSHAKE',
    `The first message is larger than ${HANDSHAKE_MAX_BYTES} bytes.`,
  );
}

function notText(): TomoError {
  return new TomoError('INVALID_HANDSHAKE', 'The first message must be a text frame.');
}
