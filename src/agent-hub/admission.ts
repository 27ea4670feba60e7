import { type Access, lowerAccess } from '../../protocol/access.ts';
import { type ErrorName, TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES, type Hello, helloSchema } from '../../protocol/handshake.ts';
import { jsonExcess } from '../../protocol/json-limits.ts';
import { JSON_DEPTH_MAX } from '../../protocol/limits.ts';
import type { AgentRepository } from '../db/agent-repository.ts';
import type { AgentHello, AgentRow } from '../db/agent-row.ts';
import type { AttemptLimiter } from './attempt-limiter.ts';
import { hashRegistrationCode, hashToken, newToken } from './credentials.ts';
import { type TokenBearer, tokenBearer } from './duplicates.ts';
import { filledIn, isOtherMachine } from './machine-identity.ts';

/** An agent that may come in. */
export interface Admitted {
  readonly row: AgentRow;
  readonly hello: Hello;
  readonly access: Access;
  /** Only if it registered. */
  readonly token: string | undefined;
  /** Only of a candidate: the hash of its token, by which it is promoted. */
  readonly candidateTokenHash: string | undefined;
}

/** A refused first message: told to the agent, then the socket closes with `closeCode`. */
export class AdmissionRefused extends Error {
  readonly error: TomoError;
  readonly closeCode: number;

  constructor(error: TomoError, closeCode: number = CLOSE_CODES.NOT_AUTHENTICATED) {
    super(error.message, { cause: error });
    this.error = error;
    this.closeCode = closeCode;
  }
}

export interface AdmissionDeps {
  readonly agents: AgentRepository;
  readonly limiter: AttemptLimiter;
  /** Called for every process that is refused because its token belongs to another machine. */
  readonly onClone: (clone: TokenBearer) => void;
}

/** Decides on a first message. Throws AdmissionRefused; a refusal writes nothing. */
export async function admit(deps: AdmissionDeps, text: string, address: string): Promise<Admitted> {
  const hello = parseHello(text);
  if (hello.type === 'register') return register(deps, hello, hello.code, address);
  return authenticate(deps, hello, hello.token, address);
}

function parseHello(text: string): Hello {
  // Of so few bytes only the depth can be too much.
  if (jsonExcess(text) !== undefined) {
    throw refused('INVALID_HANDSHAKE', `The first message nests deeper than ${JSON_DEPTH_MAX}.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused('INVALID_HANDSHAKE', 'The first message is not JSON.');
  }
  const hello = helloSchema.safeParse(value);
  if (hello.success) return hello.data;
  throw refused(
    'INVALID_HANDSHAKE',
    'The first message must be {"type":"register","code":...,"version":...} or {"type":"authenticate","token":...,"version":...}.',
  );
}

async function register(
  { agents, limiter }: AdmissionDeps,
  hello: Hello,
  code: string,
  address: string,
): Promise<Admitted> {
  if (!limiter.allows(address)) {
    throw new AdmissionRefused(
      new TomoError('TOO_MANY_ATTEMPTS', 'Too many unknown registration codes; wait some minutes.'),
      CLOSE_CODES.TOO_MANY_ATTEMPTS,
    );
  }
  const token = newToken();
  const tokenHash = hashToken(token);
  const outcome = await agents.register({
    codeHash: hashRegistrationCode(code),
    tokenHash,
    now: Date.now(),
    hello: helloFields(hello),
  });
  switch (outcome.outcome) {
    case 'registered':
      return admitted(outcome.agent, hello, { token });
    case 'candidate':
      return admitted(outcome.agent, hello, { token, candidateTokenHash: tokenHash });
    case 'unknown':
      limiter.countUnknownCode(address);
      throw refused('CODE_UNKNOWN', 'Unknown registration code. Call install_agent for a new one.');
    case 'used':
      throw refused(
        'CODE_USED',
        'This registration code was used or replaced. Call install_agent for a new one.',
      );
    case 'expired':
      throw refused(
        'CODE_EXPIRED',
        'This registration code has expired. Call install_agent for a new one.',
      );
  }
}

async function authenticate(
  { agents, onClone }: AdmissionDeps,
  hello: Hello,
  token: string,
  address: string,
): Promise<Admitted> {
  const tokenHash = hashToken(token);
  const found = await agents.findByTokenHash(tokenHash);
  if (found === undefined) {
    throw refused(
      'TOKEN_UNKNOWN',
      'Unknown token. Call install_agent and start the agent with the new code.',
    );
  }
  const { agent, match } = found;
  if (match === 'revoked') throw revoked();
  if (
    isOtherMachine(match === 'candidate' ? agent.candidateIdentity : agent.identity, hello.host)
  ) {
    const { id: agentId, serverId } = agent;
    onClone(tokenBearer({ agentId, serverId, hello, address }));
    throw clone();
  }
  // Its agent's row tells of the process that it is to replace, until it is promoted.
  if (match === 'candidate') return admitted(agent, hello, { candidateTokenHash: tokenHash });
  const authenticated = await agents.authenticated({
    agentId: agent.id,
    tokenHash,
    hello: helloFields(hello),
    identity: filledIn(agent.identity, hello.host),
    now: Date.now(),
  });
  if (!authenticated) throw revoked();
  return admitted(agent, hello, {});
}

/** What the database keeps of a hello. */
export function helloFields(hello: Hello): AgentHello {
  return {
    version: hello.version,
    protocol: hello.protocol ?? null,
    host: hello.host ?? null,
    capabilities: hello.capabilities ?? null,
    reportedAccess: hello.access ?? null,
  };
}

function admitted(
  row: AgentRow,
  hello: Hello,
  { token, candidateTokenHash }: { token?: string; candidateTokenHash?: string },
): Admitted {
  // A candidate is what it will be: its ceiling is its own.
  const ceiling = candidateTokenHash === undefined ? null : row.candidateAccess;
  const held = { ...row, access: ceiling ?? row.access };
  const access = lowerAccess(held.access, hello.access ?? held.access);
  return { row: held, hello, access, token, candidateTokenHash };
}

function revoked(): AdmissionRefused {
  return new AdmissionRefused(
    new TomoError('AGENT_REVOKED', 'This agent was revoked, or registered anew elsewhere.'),
    CLOSE_CODES.REVOKED,
  );
}

function clone(): AdmissionRefused {
  return new AdmissionRefused(
    new TomoError(
      'CLONE_REFUSED',
      'This token belongs to an agent on another machine. Call install_agent for an agent of this one; if it is the same server on a new machine, call configure_agents with accept_machine.',
    ),
    CLOSE_CODES.CLONE,
  );
}

function refused(name: ErrorName, message: string): AdmissionRefused {
  return new AdmissionRefused(new TomoError(name, message));
}
