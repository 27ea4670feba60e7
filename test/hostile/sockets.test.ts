import { afterAll, expect, it } from 'vitest';
import {
  CLOSE_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  HTTP_HEADERS_TIMEOUT_MS,
} from '../../protocol/limits.ts';
import { BesiegedHub } from '../support/besieged-hub.ts';
import { HeldSockets } from '../support/held-sockets.ts';
import { eventually } from '../support/hub.ts';
import { Started } from '../support/processes.ts';
import { report, sized } from '../support/test-size.ts';

const SILENT = sized({ short: 1_500, full: 5_000 });
const MUTE = sized({ short: 300, full: 2_000 });
const AT_ONCE = 50;

const started = new Started();
let besieged: BesiegedHub | undefined;

// One for the whole file: it takes a while until its memory has settled.
async function siege(): Promise<BesiegedHub> {
  return (besieged ??= await BesiegedHub.start(started));
}

afterAll(() => started[Symbol.asyncDispose]());

function held(): HeldSockets {
  const sockets = new HeldSockets();
  started.defer(() => sockets.destroy());
  return sockets;
}

it(`${SILENT} sockets of one address that never speak`, { timeout: 180_000 }, async () => {
  const hub = await siege();
  const sockets = held();
  const { port } = hub.server;
  await hub.withstands(`${SILENT} silent sockets`, async () => {
    const startedAt = performance.now();
    await many(SILENT, () => sockets.openSilent(port));
    report(`${sockets.stillOpen} of ${SILENT} silent sockets open when the last had opened`);
    await hub.letsGuestIn();
    await allClosed(sockets);
    const tookMs = performance.now() - startedAt;
    report(`all silent sockets closed after ${Math.round(tookMs)} ms`);
  });
});

it(`${MUTE} connections that send nothing, and headers that trickle`, {
  timeout: 180_000,
}, async () => {
  const hub = await siege();
  const sockets = held();
  const { port } = hub.server;
  await hub.withstands(`${MUTE} mute connections and slow headers`, async () => {
    await many(MUTE, () => sockets.open(port, ''));
    await many(MUTE, () => sockets.open(port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n'));
    const slow = await sockets.open(port, 'GET /ws/agent HTTP/1.1\r\nHost: x\r\n');
    // Whoever sends a byte now and then is cut off just the same.
    const trickle = setInterval(() => slow.write('X: y\r\n'), 500);
    started.defer(() => clearInterval(trickle));
    await hub.letsGuestIn();
    await allClosed(sockets);
  });
});

async function many(count: number, open: () => Promise<unknown>): Promise<void> {
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    const some = Math.min(AT_ONCE, count - opened);
    await Promise.all(Array.from({ length: some }, open));
  }
}

/** By the hub, within its own limits and some turns of its sweeps. */
async function allClosed(sockets: HeldSockets): Promise<void> {
  const limitMs = Math.max(HANDSHAKE_TIMEOUT_MS + CLOSE_TIMEOUT_MS, HTTP_HEADERS_TIMEOUT_MS);
  expect(limitMs).toBeLessThan(20_000);
  await eventually(() => expect(sockets.stillOpen).toBe(0));
}
