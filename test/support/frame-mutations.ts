import { seededRandom } from './test-size.ts';

/** A frame as it goes over the wire. */
export interface WireFrame {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** In a frame's text: the id of a call that waits for this agent, if there is one. */
export const CALL_ID = '@call-id@';

/** So many of MESSAGES may be sent by an agent at any time. */
const VALID_COUNT = 6;
const TEXT_MAX_CHARS = 128 * 1024;

type Json = unknown;
type Random = () => number;

const HOST = { hostname: 'h', os: 'o', arch: 'x86_64', engine_id: 'e', machine_id: 'm' };
const OPTIONAL = {
  version: '1.0.0',
  protocol: 1,
  host: HOST,
  capabilities: ['agent.ping', 'system.exec'],
  access: 'admin',
  instance_id: 'instance',
  held: ['held-1', 'held-2'],
  server_url: 'ws://127.0.0.1/ws/agent',
};
const CODE = '7K2Q-M9XW-4TND-8HJA';
const USAGE = { used: 1, total: 2, percent: 50 };
const METRICS = { cpu: 1, memory: USAGE, disk: USAGE, containers: { running: 1, stopped: 0 } };
const PONG = { status: 'ok', version: '1.0.0', agent_id: null };

/** Valid first messages with codes and tokens that nobody was given. */
const HELLOS: readonly Json[] = [
  { type: 'register', code: CODE, ...OPTIONAL },
  { type: 'register', code: CODE, version: '1.0.0' },
  { type: 'authenticate', token: 'A'.repeat(43), ...OPTIONAL },
  { type: 'authenticate', token: 'A'.repeat(43), version: '1.0.0' },
];

/** Everything that an agent may say once it is in, and what only a hub may. */
const MESSAGES: readonly Json[] = [
  { jsonrpc: '2.0', id: CALL_ID, result: PONG },
  { jsonrpc: '2.0', id: CALL_ID, error: { code: 1203, message: 'no', data: { name: 'CONFLICT' } } },
  { jsonrpc: '2.0', id: 'never-asked', result: PONG },
  { jsonrpc: '2.0', method: 'metrics.update', params: METRICS },
  { jsonrpc: '2.0', method: 'health.status', params: { status: 'ok', uptime: 1, version: '1' } },
  { jsonrpc: '2.0', method: 'agent.event', params: { type: 'started', detail: { a: [1, 2] } } },
  { jsonrpc: '2.0', method: '$/progress', params: { id: CALL_ID, seq: 1, data: 'x' } },
  { jsonrpc: '2.0', method: '$/stored', params: { ids: [CALL_ID] } },
  { jsonrpc: '2.0', method: 'agent.ping', params: {}, id: 'from-agent' },
  ...HELLOS,
];

const SCALARS: readonly Json[] = [
  null,
  true,
  '',
  0,
  -0,
  -1,
  1.5,
  1e308,
  2 ** 53 + 1,
  '\u0000',
  '\ud800',
  '__proto__',
  'constructor',
  'a'.repeat(129),
  'é'.repeat(40_000),
  [],
  {},
  [[[[]]]],
];
const KEYS = ['__proto__', 'constructor', 'toString', '', 'id', 'jsonrpc', 'method', 'é'] as const;

/** Frame `index` of a seed: the same at every time, whichever were made before. */
export function mutatedFrame(kind: 'hello' | 'message', seed: number, index: number): WireFrame {
  const random = seededRandom(
    Math.imul(seed ^ 0x9e_37_79_b9, 31) + Math.imul(index, 0x85_eb_ca_6b),
  );
  let value: Json = structuredClone(pick(kind === 'hello' ? HELLOS : MESSAGES, random));
  // About one in eight stays as it is.
  const changes = Math.floor(random() * 8) % 5;
  for (let change = 0; change < changes; change += 1) value = mutate(value, random);
  const text = JSON.stringify(value) ?? 'undefined';
  // What is too large altogether has tests of its own.
  return corrupt(text.slice(0, TEXT_MAX_CHARS), random);
}

/** What a busy agent says that breaks no rule. */
export function validFrame(index: number): WireFrame {
  const reports = MESSAGES.slice(0, VALID_COUNT);
  return { data: Buffer.from(JSON.stringify(reports[index % VALID_COUNT])), isBinary: false };
}

/** Changes one place of a value. */
function mutate(value: Json, random: Random): Json {
  if (typeof value !== 'object' || value === null || random() < 0.08) return replace(value, random);
  const entries = Object.entries<Json>({ ...value });
  const chosen = Math.floor(random() * (entries.length + 1));
  const [key, inner] = entries[chosen] ?? [];
  if (key === undefined) entries.push([pick(KEYS, random), pick(SCALARS, random)]);
  else if (random() < 0.2) entries.splice(chosen, 1);
  else entries[chosen] = [random() < 0.1 ? pick(KEYS, random) : key, mutate(inner, random)];
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}

function replace(value: Json, random: Random): Json {
  const choice = Math.floor(random() * 6);
  if (choice === 0) return [value];
  if (choice === 1) return { [pick(KEYS, random)]: value };
  if (choice === 2) return nested(value, Math.floor(random() * 100));
  if (choice === 3) return Array.from({ length: Math.floor(random() * 200) }, () => value);
  return pick(SCALARS, random);
}

function nested(value: Json, depth: number): Json {
  let inner = value;
  for (let level = 0; level < depth; level += 1) inner = level % 2 === 0 ? [inner] : { a: inner };
  return inner;
}

/** Now and then damages the text itself, or how it is framed. */
function corrupt(text: string, random: Random): WireFrame {
  const data = Buffer.from(text);
  const choice = Math.floor(random() * 24);
  const at = Math.floor(random() * data.byteLength);
  switch (choice) {
    case 0:
      return { data: data.subarray(0, at), isBinary: false };
    case 1:
      // Seven bits, so that it stays text.
      data.writeUInt8(Math.floor(random() * 128), Math.min(at, data.byteLength - 1));
      return { data, isBinary: false };
    case 2:
      return { data: Buffer.concat([data, data]), isBinary: false };
    case 3:
      return { data, isBinary: true };
    case 4:
      // A key twice.
      return { data: Buffer.from(text.replace('{', '{"jsonrpc":"1.0","id":7,')), isBinary: false };
    case 5:
      return { data: Buffer.from(`\ufeff ${text}\n`), isBinary: false };
    default:
      return { data, isBinary: false };
  }
}

function pick<T>(values: readonly T[], random: Random): T {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}
