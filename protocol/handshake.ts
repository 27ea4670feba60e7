import { z } from 'zod';
import { accessSchema } from './access.ts';
import { logCollectionSchema } from './log-collection.ts';

/** WebSocket close codes of /ws/agent; what an agent does on each is in PROTOCOL.md. */
export const CLOSE_CODES = {
  /** The hub is restarting: redial at once, with jitter. */
  SERVICE_RESTART: 1012,
  /** RFC 6455: a fault of the hub; redial. */
  INTERNAL_ERROR: 1011,
  /** RFC 6455: a frame over the limit. */
  MESSAGE_TOO_BIG: 1009,
  NOT_AUTHENTICATED: 4001,
  REVOKED: 4002,
  /** A newer socket of the same agent took over. */
  SUPERSEDED: 4003,
  /** The same token from another machine. */
  CLONE: 4004,
  PROTOCOL_VIOLATION: 4008,
  TOO_MANY_ATTEMPTS: 4013,
} as const;

const HOST_FIELD_MAX_CHARS = 255;
const URL_MAX_CHARS = 2_048;
const hostField = z.string().max(HOST_FIELD_MAX_CHARS).optional();

/** What an agent tells of its machine; every field optional, none verified. */
export const hostSchema = z.object({
  hostname: hostField,
  os: hostField,
  arch: hostField,
  engine_id: hostField,
  machine_id: hostField,
});
export type HostInfo = z.infer<typeof hostSchema>;

const optionalFields = {
  version: z.string().max(64).default('unknown'),
  /** Revision of this protocol; absent in agents that speak only the first deployment's messages. */
  protocol: z.number().int().positive().optional(),
  host: hostSchema.optional(),
  /** Methods this agent has. */
  capabilities: z.array(z.string().max(128)).max(1_000).optional(),
  /** The highest access this agent grants. */
  access: accessSchema.optional(),
  /** New for every process of the agent. */
  instance_id: z.string().max(128).optional(),
  /** Ids of commands whose answer this process still holds. */
  held: z.array(z.string().max(128)).max(1_000).optional(),
  /** The URL that was dialled. */
  server_url: z.string().max(URL_MAX_CHARS).optional(),
};

export const registerSchema = z.object({
  type: z.literal('register'),
  code: z.string().min(1).max(128),
  ...optionalFields,
});

export const authenticateSchema = z.object({
  type: z.literal('authenticate'),
  token: z.string().min(1).max(256),
  ...optionalFields,
});

/** The first message of an agent. */
export const helloSchema = z.discriminatedUnion('type', [registerSchema, authenticateSchema]);
export type Hello = z.infer<typeof helloSchema>;

/** The agent's settings, in seconds; defaults and ranges are those of the first deployment. */
export const agentConfigSchema = z.object({
  metrics_interval: z.number().int().min(5).max(300).default(30),
  health_interval: z.number().int().min(10).max(600).default(60),
  reconnect_timeout: z.number().int().min(5).max(120).default(30),
});
export type AgentConfig = z.infer<typeof agentConfigSchema>;

const welcomeFields = {
  agent_id: z.string().min(1),
  config: agentConfigSchema,
  protocol: z.number().int().optional(),
  /**
   * This process is a candidate: it is parked beside the agent's current socket until `$/promoted`
   * comes, and keeps its state apart until then.
   */
  candidate: z.literal(true).optional(),
  /** The agent's ceiling at the hub: an agent that grants more grants no more than this from now on. */
  access: accessSchema.optional(),
  /** The containers whose logs the agent is to push; none if left out. */
  log_collection: logCollectionSchema.optional(),
  /** Seconds of silence after which the hub pings. */
  heartbeat: z.number().optional(),
  limits: z
    .object({
      frame_bytes: z.number().int().positive(),
      /**
       * Bytes of a lossless output that the hub takes unacknowledged. An agent sends `$/progress` and
       * results in pieces only to hubs that say it.
       */
      stream_window_bytes: z.number().int().positive().optional(),
    })
    .optional(),
};

export const registeredSchema = z.object({
  type: z.literal('registered'),
  token: z.string().min(1),
  ...welcomeFields,
});

export const authenticatedSchema = z.object({ type: z.literal('authenticated'), ...welcomeFields });

/** The hub's answer to a hello that it refuses: `code` is a name of the error table. */
export const refusalSchema = z.object({ error: z.string(), code: z.string().optional() });

/** The hub's answer to a hello. */
export const welcomeSchema = z.union([
  z.discriminatedUnion('type', [registeredSchema, authenticatedSchema]),
  refusalSchema,
]);
export type Welcome = z.infer<typeof registeredSchema> | z.infer<typeof authenticatedSchema>;
export type Refusal = z.infer<typeof refusalSchema>;
