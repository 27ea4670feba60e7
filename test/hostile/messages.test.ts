import { afterAll, expect, it } from 'vitest';
import { BesiegedHub } from '../support/besieged-hub.ts';
import { send } from '../support/commands.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { Started } from '../support/processes.ts';
import { bytewise, OPCODES, rawFrame } from '../support/raw-frame.ts';
import { sized } from '../support/test-size.ts';

const MIB = 1024 * 1024;
const FRAME_BYTES = 16 * MIB;
const HELLO = { version: '1.0.0', protocol: 1 };
let attackers = 0;
const ROUNDS = sized({ short: 1, full: 30 });

const started = new Started();
let besieged: BesiegedHub | undefined;

// One for the whole file: it takes a while until its memory has settled.
async function siege(): Promise<BesiegedHub> {
  return (besieged ??= await BesiegedHub.start(started));
}

afterAll(() => started[Symbol.asyncDispose]());

async function authenticated(hub: BesiegedHub, token: string): Promise<FakeAgent> {
  const agent = await FakeAgent.dial(hub.url);
  await agent.hello({ type: 'authenticate', token, ...HELLO });
  return agent;
}

/** Messages that are small to send and would be large to have. */
const EXCESSIVE: Record<string, (bytes: number) => string> = {
  'opening brackets': (bytes) => '['.repeat(bytes),
  'opening braces': (bytes) => '{"a":'.repeat(bytes / 5),
  'a deep answer': (bytes) => answer(`${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}`),
  'a wide answer': (bytes) => answer(`[${'0,'.repeat(bytes / 2)}0]`),
  'an answer of empty objects': (bytes) => answer(`[${'{},'.repeat(bytes / 3)}{}]`),
  'an answer of keys': (bytes) => answer(`{${keys(bytes)}}`),
  'a notification of items': (bytes) =>
    `{"jsonrpc":"2.0","method":"agent.event","params":{"type":"x","a":[${'1,'.repeat(bytes / 2)}1]}}`,
  'a string that never ends': (bytes) => `{"jsonrpc":"2.0","id":"${'\\"'.repeat(bytes / 2)}`,
};

function answer(result: string): string {
  return `{"jsonrpc":"2.0","id":"@id","result":${result}}`;
}

function keys(bytes: number): string {
  const count = Math.floor(bytes / 12);
  return Array.from(
    { length: count },
    (_, index) => `"${index.toString(36).padStart(6, '0')}":0`,
  ).join();
}

it('messages too deep or too wide, from strangers and from an agent', {
  timeout: 600_000,
}, async () => {
  const hub = await siege();
  const { serverId, token } = await hub.agentOfAttacker(`hostile-${(attackers += 1)}`);
  await hub.withstands('excessive JSON', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const kinds = Object.values(EXCESSIVE);
      for (const make of kinds) await asAgent(hub, serverId, token, make(FRAME_BYTES - 1_024));
      for (const bytes of [60 * 1_024, FRAME_BYTES - 1_024]) {
        await Promise.all(kinds.map((make) => asStranger(hub, make(bytes))));
      }
    }
  });
});

/** In answer to a call, whose caller is told that there was no valid answer. */
async function asAgent(
  hub: BesiegedHub,
  serverId: string,
  token: string,
  text: string,
): Promise<void> {
  const agent = await authenticated(hub, token);
  const call = send(hub.client, serverId, 'agent.ping', {}, { timeout_seconds: 20 });
  const { id } = await agent.request();
  agent.send(text.replace('@id', id));
  agent.fail(id, { code: 1203, message: 'at last' });
  expect(['failed', 'detached']).toContain((await call).status);
  agent.cut();
}

async function asStranger(hub: BesiegedHub, text: string): Promise<void> {
  const agent = await FakeAgent.dial(hub.url);
  agent.send(text);
  const { code } = await agent.closed;
  expect([4001, 1009, 1006]).toContain(code);
}

it('frames that are too large or not text', { timeout: 300_000 }, async () => {
  const hub = await siege();
  const { token } = await hub.agentOfAttacker(`hostile-${(attackers += 1)}`);
  await hub.withstands('oversize and binary frames', async () => {
    for (const bytes of [17 * MIB, 100 * MIB]) {
      const agents = [await FakeAgent.dial(hub.url), await authenticated(hub, token)];
      // Sent whole: the hub decides how much of it to take.
      for (const agent of agents) agent.send('x'.repeat(bytes));
      const ends = await Promise.all(agents.map(({ closed }) => closed));
      for (const { code } of ends) expect([1009, 1006, 4001]).toContain(code);
    }
    const stranger = await FakeAgent.dial(hub.url);
    stranger.send(Buffer.from('{"type":"register"}'));
    expect(await stranger.closed).toMatchObject({ code: 4001 });
    const agent = await authenticated(hub, token);
    for (let sent = 0; sent <= 16; sent += 1) agent.send(Buffer.alloc(MIB));
    expect(await agent.closed).toMatchObject({ code: 4008 });
  });
});

/** Faults of the WebSocket protocol, and the close code that RFC 6455 has for each. */
const FAULTS: [fault: string, code: number, bytes: () => Buffer][] = [
  ['a reserved opcode', 1002, () => rawFrame({ opcode: 3 })],
  ['a reserved control opcode', 1002, () => rawFrame({ opcode: 11 })],
  ['a reserved bit', 1002, () => rawFrame({ opcode: OPCODES.text, reserved: 4, payload: '{}' })],
  ['no mask', 1002, () => rawFrame({ opcode: OPCODES.text, isMasked: false, payload: '{}' })],
  ['a continuation of nothing', 1002, () => rawFrame({ opcode: OPCODES.continuation })],
  ['a ping in pieces', 1002, () => rawFrame({ opcode: OPCODES.ping, isLast: false })],
  ['a long ping', 1002, () => rawFrame({ opcode: OPCODES.ping, payload: 'x'.repeat(126) })],
  [
    'a new message inside one',
    1002,
    () =>
      Buffer.concat([
        rawFrame({ opcode: OPCODES.text, isLast: false, payload: '{' }),
        rawFrame({ opcode: OPCODES.text, payload: '}' }),
      ]),
  ],
  [
    'text that is not UTF-8',
    1007,
    () => rawFrame({ opcode: OPCODES.text, payload: Buffer.from([0xc3, 0x28]) }),
  ],
  [
    'an invalid close code',
    1002,
    () => rawFrame({ opcode: OPCODES.close, payload: Buffer.from([0x03, 0xec]) }),
  ],
  [
    'more than can be counted',
    1009,
    () => rawFrame({ opcode: OPCODES.text, announcedBytes: 2 ** 52 }),
  ],
];

it('faults of the WebSocket protocol close the socket that has them', {
  timeout: 120_000,
}, async () => {
  const hub = await siege();
  const { token } = await hub.agentOfAttacker(`hostile-${(attackers += 1)}`);
  await hub.withstands('WebSocket faults', async () => {
    for (const [fault, code, bytes] of Array.from({ length: 3 }, () => FAULTS).flat()) {
      for (const agent of [await FakeAgent.dial(hub.url), await authenticated(hub, token)]) {
        await agent.writeRaw(bytes());
        expect([fault, (await agent.closed).code]).toEqual([fault, code]);
      }
    }
  });
});

it('a message of one byte a frame is read; one that never ends is not kept', {
  timeout: 120_000,
}, async () => {
  const hub = await siege();
  const { token } = await hub.agentOfAttacker(`hostile-${(attackers += 1)}`);
  await hub.withstands('fragments of one byte', async () => {
    const agent = await FakeAgent.dial(hub.url);
    await agent.writeRaw(bytewise(JSON.stringify({ type: 'authenticate', token, ...HELLO })));
    expect(await agent.next()).toMatchObject({ type: 'authenticated' });
    const first = rawFrame({ opcode: OPCODES.text, isLast: false, payload: '[' });
    const more = rawFrame({ opcode: OPCODES.continuation, isLast: false, payload: '[' });
    const endless = Buffer.concat([first, ...Array.from({ length: 100_000 }, () => more)]);
    for (const sender of [await FakeAgent.dial(hub.url), agent]) {
      await sender.writeRaw(endless);
      expect([1008, 1009, 4001]).toContain((await sender.closed).code);
    }
  });
});
