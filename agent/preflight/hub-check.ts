import { type ClientRequest, get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import type { HubAddress } from '../connection/hub-address.ts';
import type { HubRoute, HubTransport } from '../connection/hub-transport.ts';
import { bounded, type Check } from './check.ts';

const AGENT_PATH = /\/ws\/agent\/?$/;
const SKEW_MAX_MS = 60_000;
const CLOCK_NEXT_STEP =
  'Set the clock of the machine that is wrong, and let NTP keep it: "timedatectl set-ntp true".';
const HUB_NEXT_STEP =
  'Look at SERVER_URL, at the firewall, and at the reverse proxy before the hub if there is one.';

interface HubAnswer {
  readonly status: number;
  readonly latencyMs: number;
  /** How far this machine's clock is ahead of the hub's; undefined if the hub gave no date. */
  readonly aheadMs: number | undefined;
}

interface HubCheckOptions {
  readonly hubAddress: HubAddress;
  readonly transport: HubTransport;
}

/** Whether the hub answers over HTTP too, and agrees on what time it is. */
export async function checkHub(
  { hubAddress, transport }: HubCheckOptions,
  signal: AbortSignal,
): Promise<Check[]> {
  const url = healthUrl(hubAddress.url);
  let answer: HubAnswer | undefined;
  const hub = await bounded('hub', signal, async (limited) => {
    answer = await ask(url, await transport.route(hubAddress), limited);
    const detail = `${url.origin} answered ${answer.status} in ${Math.round(answer.latencyMs)} ms`;
    return { ok: answer.status < 500, detail };
  });
  return [hub.ok ? hub : { ...hub, next_step: HUB_NEXT_STEP }, describeClock(answer?.aheadMs)];
}

/** Beside the agents' path, which a reverse proxy may have put under a prefix of its own. */
function healthUrl(serverUrl: string): URL {
  const { origin, pathname } = new URL(serverUrl.replace(/^ws/i, 'http'));
  return new URL(`${pathname.replace(AGENT_PATH, '')}/healthz`, origin);
}

async function ask(url: URL, route: HubRoute, signal: AbortSignal): Promise<HubAnswer> {
  const startedAtMs = performance.now();
  const get = url.protocol === 'https:' ? getHttps : getHttp;
  const request = get(url, { signal, agent: false, ...route.options });
  route.watch(request);
  const response = await answerTo(request).catch((error: unknown) => {
    route.close();
    throw route.explain(error);
  });
  const latencyMs = performance.now() - startedAtMs;
  response.destroy();
  const hubMs = Date.parse(response.headers.date ?? '');
  // The hub wrote its date half-way, in whole seconds.
  const aheadMs = Date.now() - latencyMs / 2 - hubMs;
  return {
    status: response.statusCode ?? 0,
    latencyMs,
    aheadMs: Number.isNaN(hubMs) ? undefined : aheadMs,
  };
}

async function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
}

function describeClock(aheadMs: number | undefined): Check {
  if (aheadMs === undefined) {
    const detail = 'unknown: the hub did not tell its time';
    return { name: 'clock', ok: false, detail, next_step: HUB_NEXT_STEP };
  }
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  const detail = `${seconds} s ${aheadMs < 0 ? 'behind' : 'ahead of'} the hub`;
  const ok = Math.abs(aheadMs) < SKEW_MAX_MS;
  return { name: 'clock', ok, detail, ...(ok ? {} : { next_step: CLOCK_NEXT_STEP }) };
}
