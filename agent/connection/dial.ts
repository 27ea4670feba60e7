import { type RawData, WebSocket } from 'ws';
import {
  CLOSE_CODES,
  type Hello,
  type Refusal,
  type Welcome,
  welcomeSchema,
} from '../../protocol/handshake.ts';
import { jsonExcess } from '../../protocol/json-limits.ts';
import { FRAME_MAX_BYTES, HANDSHAKE_TIMEOUT_MS } from '../../protocol/limits.ts';
import { frameText } from './frame-text.ts';
import type { HubRoute } from './hub-transport.ts';

export interface DialOptions {
  readonly url: string;
  readonly route: HubRoute;
  /** Asked for while the socket opens. */
  readonly hello: () => Promise<Hello>;
  readonly signal: AbortSignal;
  /** From the first packet to the open socket, proxy included. */
  readonly openTimeoutMs?: number;
  /** From the open socket to the hub's answer. */
  readonly welcomeTimeoutMs?: number;
  /** From a refusal to the close that follows it. */
  readonly refusedCloseMs?: number;
}

/** The hub was not reached, or refused; `closeCode` says how and `refusal` has its words. */
export class DialError extends Error {
  override readonly name = 'DialError';
  /** 1006 if the hub was not reached. */
  readonly closeCode: number;
  readonly refusal: Refusal | undefined;

  constructor(facts: { closeCode: number; refusal?: Refusal; cause?: unknown }) {
    const reason = facts.cause instanceof Error ? facts.cause.message : undefined;
    super(facts.refusal?.error ?? reason ?? `The hub closed the socket (${facts.closeCode}).`, {
      cause: facts.cause,
    });
    this.closeCode = facts.closeCode;
    this.refusal = facts.refusal;
  }
}

/** Close code of a socket that ended without one (RFC 6455, section 7.4.1). */
export const NOT_REACHED = 1006;
// Longer than a hub needs to take a whole fleet back after its restart.
const WELCOME_TIMEOUT_MS = 30_000;
const REFUSED_CLOSE_MS = 1_000;

/**
 * Opens a socket and introduces the agent. `attach` is called in the same turn as the welcome
 * arrives, so that no message after it is lost; the socket is its own from then on.
 */
export function dial<T>(
  options: DialOptions,
  attach: (socket: WebSocket, welcome: Welcome) => T,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const { route, openTimeoutMs = HANDSHAKE_TIMEOUT_MS } = options;
  const { welcomeTimeoutMs = WELCOME_TIMEOUT_MS, refusedCloseMs = REFUSED_CLOSE_MS } = options;
  const socket = openSocket(options.url, route);
  let isOpen = false;
  let timer: NodeJS.Timeout | undefined;
  let cause: unknown;
  let refusal: Refusal | undefined;

  const giveUp = (reason: unknown): void => {
    cause ??= reason;
    socket.terminate();
  };
  const giveUpAfter = (ms: number, reason: string): void => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, ms, new Error(reason));
  };
  const onAbort = (): void => {
    giveUp(options.signal.reason);
  };
  const settle = (): void => {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', onAbort);
    socket.off('message', onMessage).off('close', onClose).off('error', onError);
  };
  const onMessage = (data: RawData): void => {
    const answer = parseAnswer(data);
    if (answer === undefined) return giveUp(new Error('The hub answered with no valid welcome.'));
    if ('error' in answer) {
      refusal = answer;
      return giveUpAfter(refusedCloseMs, 'The hub refused and did not close.');
    }
    settle();
    resolve(attach(socket, answer));
  };
  const onClose = (code: number): void => {
    settle();
    route.close();
    const reason = isOpen ? cause : route.explain(cause);
    const facts = { closeCode: closeCode(code, refusal), cause: reason };
    reject(new DialError({ ...facts, ...(refusal && { refusal }) }));
  };
  const onError = (error: Error): void => {
    cause ??= error;
  };

  socket.on('message', onMessage).on('close', onClose).on('error', onError);
  giveUpAfter(openTimeoutMs, 'No answer in time.');
  socket.on('open', () => {
    isOpen = true;
    giveUpAfter(welcomeTimeoutMs, 'The hub did not answer in time.');
    options.hello().then((hello) => socket.send(JSON.stringify(hello)), giveUp);
  });
  if (options.signal.aborted) onAbort();
  else options.signal.addEventListener('abort', onAbort);
  return promise;
}

function openSocket(url: string, route: HubRoute): WebSocket {
  return new WebSocket(url, {
    maxPayload: FRAME_MAX_BYTES,
    perMessageDeflate: false,
    ...route.options,
    finishRequest: (request) => {
      route.watch(request);
      request.end();
    },
  });
}

function parseAnswer(data: RawData): Welcome | Refusal | undefined {
  const text = frameText(data);
  try {
    return jsonExcess(text) === undefined ? welcomeSchema.parse(JSON.parse(text)) : undefined;
  } catch {
    return undefined;
  }
}

const REFUSAL_CLOSE_CODES = new Map<string, number>([
  ['AGENT_REVOKED', CLOSE_CODES.REVOKED],
  ['TOO_MANY_ATTEMPTS', CLOSE_CODES.TOO_MANY_ATTEMPTS],
]);

// Closed without saying why (RFC 6455, section 7.4.1).
const NO_REASON = new Set([1000, 1005, 1006]);

/** The socket's close code, or the one that belongs to a refusal that came without. */
function closeCode(code: number, refusal: Refusal | undefined): number {
  if (refusal === undefined || !NO_REASON.has(code)) return code;
  return REFUSAL_CLOSE_CODES.get(refusal.code ?? '') ?? CLOSE_CODES.NOT_AUTHENTICATED;
}
