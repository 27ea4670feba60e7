/**
 * The error table: every code that hub, agent and tools answer with. The first five are JSON-RPC
 * 2.0's own (section 5.1 of its specification); ours start at 1000.
 */
export const ERROR_CODES = {
  /** The text is not JSON. */
  PARSE_ERROR: -32700,
  /** JSON, but not a JSON-RPC 2.0 request. */
  INVALID_REQUEST: -32600,
  /** No such method in the catalogue, or this agent does not have it. */
  METHOD_NOT_FOUND: -32601,
  /** The params do not fit the method's schema. */
  INVALID_PARAMS: -32602,
  /** An unforeseen fault; its cause is in the log of the side that had it. */
  INTERNAL_ERROR: -32603,

  /** No server of that id, or no agent was ever installed on it. */
  UNKNOWN_SERVER: 1000,
  /** The agent has no open socket to the hub. */
  AGENT_NOT_CONNECTED: 1001,
  /** The agent's socket closed while the command ran; it may have taken effect. */
  CONNECTION_LOST: 1002,
  /** No answer within the time-out; it may have taken effect. */
  COMMAND_TIMED_OUT: 1003,
  /** The caller cancelled. */
  COMMAND_CANCELLED: 1004,
  /** The agent was revoked while the command ran, or is revoked. */
  AGENT_REVOKED: 1005,
  /** The caller, the agent or the server's setting does not grant the access this method needs. */
  ACCESS_DENIED: 1006,
  /** install_agent for an agent that is connected, without `replace`. */
  AGENT_CONNECTED: 1007,
  /** A named limit of protocol/limits.ts is reached. */
  LIMIT_REACHED: 1008,
  /** The agent's answer does not fit the method's result schema. */
  INVALID_ANSWER: 1009,
  /** The process that owns the data directory ended, or cannot be reached. */
  OWNER_UNREACHABLE: 1010,
  /** The database refused (locked, full, read-only). */
  DATABASE_UNAVAILABLE: 1011,
  /** The answer is larger than one message may be. */
  RESULT_TOO_LARGE: 1012,
  /** The agent came back without the answer: its process ended, or had to drop it. */
  ANSWER_LOST: 1013,

  /** First message of a socket: neither register nor authenticate. */
  INVALID_HANDSHAKE: 1100,
  /** No such registration code. */
  CODE_UNKNOWN: 1101,
  CODE_EXPIRED: 1102,
  CODE_USED: 1103,
  TOKEN_UNKNOWN: 1104,
  TOO_MANY_ATTEMPTS: 1105,
  HANDSHAKE_TIMED_OUT: 1106,
  /** The token belongs to an agent on another machine. */
  CLONE_REFUSED: 1107,

  /** No Docker engine answers at the socket. */
  DOCKER_UNAVAILABLE: 1200,
  /** The engine's socket is there, but this agent may not use it. */
  DOCKER_NOT_PERMITTED: 1201,
  /** No such container, volume or network. */
  NOT_FOUND: 1202,
  /** The name is taken, or the object is in use or in the wrong state. */
  CONFLICT: 1203,
  /** The image is neither on the server nor to be had from its registry. */
  IMAGE_NOT_FOUND: 1204,
  /** Any other refusal of the engine; its words are in the message. */
  DOCKER_REFUSED: 1205,
  /** The agent's own container, volume or helpers. */
  SELF_PROTECTED: 1206,
  /** The command could not be started on the server. */
  EXEC_FAILED: 1207,
  /** The agent does not run in a way that allows this: not in a container, or without an engine. */
  NOT_CONTAINERISED: 1208,
  /** Compose refused or failed, its words are in the message; or what it started did not get ready. */
  COMPOSE_FAILED: 1209,

  /** The engine or machine an agent is to be put on cannot be reached. */
  TARGET_UNREACHABLE: 1300,
  /** The host's SSH key is unknown or another than it was. */
  HOST_KEY_UNVERIFIED: 1301,
  /** The host refused the SSH login, or sudo there wants a password. */
  LOGIN_REFUSED: 1302,
  /** There is no Docker on the target. */
  DOCKER_MISSING: 1303,
  /** The agent's image is neither there nor to be pulled, and building it failed. */
  IMAGE_BUILD_FAILED: 1304,
  /** A container or volume of the agent's name is on the target already. */
  TARGET_OCCUPIED: 1305,
  /** The agent's container was started but the agent did not register in time. */
  AGENT_DID_NOT_REGISTER: 1306,
} as const;

export type ErrorName = keyof typeof ERROR_CODES;

/**
 * An error that may be shown to a peer and to a user: what was wrong, what is allowed, what to do
 * next. `facts` are the values the message was made from.
 */
export class TomoError extends Error {
  override readonly name: ErrorName;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(
    name: ErrorName,
    message: string,
    options: { cause?: unknown; facts?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = name;
    this.facts = options.facts ?? {};
  }

  /** The number of the error table. */
  get code(): number {
    return ERROR_CODES[this.name];
  }
}

/** The table's name for a code that a peer sent; INTERNAL_ERROR for one it does not know. */
export function errorName(code: number): ErrorName {
  return errorNames().find((name) => ERROR_CODES[name] === code) ?? 'INTERNAL_ERROR';
}

export function isErrorName(value: string): value is ErrorName {
  return Object.hasOwn(ERROR_CODES, value);
}

export function errorNames(): readonly ErrorName[] {
  return Object.keys(ERROR_CODES).filter(isErrorName);
}

/** What a peer or user may see of an error: a TomoError as it is, anything else without its message. */
export function toTomoError(error: unknown): TomoError {
  if (error instanceof TomoError) return error;
  return new TomoError('INTERNAL_ERROR', 'Internal error; the cause is in the log.', {
    cause: error,
  });
}
