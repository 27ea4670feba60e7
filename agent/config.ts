import { z } from 'zod';
import { accessSchema } from '../protocol/access.ts';
import { fingerprintSchema, hubUrlSchema, plainFingerprint } from '../protocol/hub-address.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const CODE_MAX_CHARS = 128;

const environmentSchema = z.object({
  SERVER_URL: hubUrlSchema.optional(),
  SERVER_FINGERPRINT: fingerprintSchema.transform(plainFingerprint).optional(),
  CA_CERT: z.string().optional(),
  REGISTER_CODE: z
    .string()
    .max(CODE_MAX_CHARS, `must be a registration code of at most ${CODE_MAX_CHARS} characters`)
    .optional(),
  ACCESS: accessSchema.default('admin'),
  DATA_DIR: z.string().default('/data'),
  // Of any kind: an engine that cannot be reached is explained by the methods that need it.
  DOCKER_HOST: z.string().optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  TOMO_AGENT_PARENT: z.string().optional(),
  TOMO_AGENT_IMAGE: z.string().optional(),
});

/** What the agent was started with. */
export interface AgentOptions {
  /** The whole URL to dial; when absent, the stored one is used. */
  readonly serverUrl: string | undefined;
  /** Of the one certificate the hub may show, as `plainFingerprint` gives it. */
  readonly serverFingerprint: string | undefined;
  /** CAs to trust beside the default ones: PEM text, or the path of a file of it. */
  readonly caCert: string | undefined;
  /** Whether a proxy is set for anything at all. */
  readonly usesProxy: boolean;
  readonly registerCode: string | undefined;
  /** The highest access this agent grants. */
  readonly access: z.infer<typeof accessSchema>;
  readonly dataDir: string;
  readonly dockerHost: string | undefined;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  /** Started by another program of ours through a pipe on stdin: ends when that pipe ends. */
  readonly hasParent: boolean;
  /** Our image's HEALTHCHECK looks for the health file. */
  readonly hasHealthCheck: boolean;
}

/** A variable that is missing or not allowed; the message is one line for a person. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

const PROXY_VARIABLES = new Set(['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY']);

type Environment = Readonly<Record<string, string | undefined>>;

/** Parses the environment; an empty value counts as not set. Throws ConfigurationError. */
export function readOptions(environment: Environment): AgentOptions {
  const given = Object.entries(environment).filter(([, value]) => value);
  const parsed = environmentSchema.safeParse(Object.fromEntries(given));
  if (!parsed.success) throw new ConfigurationError(describe(parsed.error));
  const { data } = parsed;
  return Object.freeze({
    serverUrl: data.SERVER_URL,
    serverFingerprint: data.SERVER_FINGERPRINT,
    caCert: data.CA_CERT,
    usesProxy: given.some(([name]) => PROXY_VARIABLES.has(name.toUpperCase())),
    registerCode: data.REGISTER_CODE,
    access: data.ACCESS,
    dataDir: data.DATA_DIR,
    dockerHost: data.DOCKER_HOST,
    logLevel: data.LOG_LEVEL,
    hasParent: data.TOMO_AGENT_PARENT === '1',
    hasHealthCheck: data.TOMO_AGENT_IMAGE === '1',
  });
}

function describe(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

// DOCKER_HOST stays: a command that calls the engine must reach the same one. So do the proxies,
// which commands need as much as the agent does.
const OWN_VARIABLES = new Set([
  'SERVER_URL',
  'SERVER_FINGERPRINT',
  'CA_CERT',
  'REGISTER_CODE',
  'ACCESS',
  'DATA_DIR',
  'LOG_LEVEL',
]);

/** The environment of commands: the agent's less its own settings and secrets. */
export function commandEnvironment(environment: Environment): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || OWN_VARIABLES.has(name) || name.startsWith('TOMO_')) continue;
    kept[name] = value;
  }
  return kept;
}
