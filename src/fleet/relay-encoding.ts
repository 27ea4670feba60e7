import { type ContentTypeEncoder, Message, type ResponseMessage } from 'vscode-jsonrpc/node';
import { ERROR_CODES } from '../../protocol/errors.ts';

/**
 * How the owner writes its messages: an answer that JSON cannot hold (it nests too deeply, or is too
 * large for one text) is answered as such. Left unwritten, it would be waited for in vain.
 */
export const answerEncoder: ContentTypeEncoder = {
  name: 'application/json',
  encode: (message, { charset }) => Promise.resolve(Buffer.from(textOf(message), charset)),
};

function textOf(message: Message): string {
  try {
    return JSON.stringify(message);
  } catch (error) {
    if (!Message.isResponse(message)) throw error;
    return JSON.stringify(notEncodable(message.id));
  }
}

function notEncodable(id: ResponseMessage['id']): ResponseMessage {
  const code = ERROR_CODES.RESULT_TOO_LARGE;
  const text =
    'The answer nests too deeply or is too large to be passed on. What was asked for has been done; ask for a part of the answer, or over HTTP.';
  return { jsonrpc: '2.0', id, error: { code, message: text, data: { facts: {} } } };
}
