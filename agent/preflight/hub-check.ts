import { type ClientRequest, get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { bounded, type Check } from './check.ts';

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

/** Whether the hub answers over HTTP too, and agrees on what time it is. */
export async function checkHub(serverUrl: string, signal: AbortSignal): Promise<Check[]> {
  const url = new URL('/healthz', serverUrl.replace(/^ws/, 'http'));
  let answer: HubAnswer | undefined;
  const hub = await bounded('hub', signal, async (limited) => {
    answer = await ask(url, limited);
    const detail = `${url.origin} answered ${answer.status} in ${Math.round(answer.latencyMs)} ms`;
    return { ok: answer.status < 500, detail };
  });
  return [hub.ok ? hub : { ...hub, next_step: HUB_NEXT_STEP }, describeClock(answer?.aheadMs)];
}

async function ask(url: URL, signal: AbortSignal): Promise<HubAnswer> {
  const startedAtMs = performance.now();
  const request = (url.protocol === 'https:' ? getHttps : getHttp)(url, { signal, agent: false });
  const response = await answerTo(request);
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
