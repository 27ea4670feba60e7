import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  fingerprintOf,
  type KeyPair,
  newAuthority,
  newServerCertificate,
} from '../../test/support/certificates.ts';
import { ConnectProxy, type ConnectProxyOptions } from '../../test/support/connect-proxy.ts';
import { HubStandIn } from '../../test/support/hub-stand-in.ts';
import { checkHub } from '../preflight/hub-check.ts';
import { type DialOptions, dial } from './dial.ts';
import { HubTransport, type HubTransportOptions } from './hub-transport.ts';

const { signal } = new AbortController();
const OTHER_PIN = 'ab'.repeat(32);
const HERE = '127.0.0.1';

const stops: (() => Promise<void>)[] = [];
beforeEach(() => {
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY']) {
    vi.stubEnv(name, '');
    vi.stubEnv(name.toLowerCase(), '');
  }
});
afterEach(async () => {
  vi.unstubAllEnvs();
  while (stops.length > 0) await stops.pop()?.();
});

async function plainHub(host = HERE): Promise<HubStandIn> {
  const hubs = await HubStandIn.start(0, host);
  stops.push(() => hubs[Symbol.asyncDispose]());
  return hubs;
}

async function secureHub(pair: KeyPair, host = HERE): Promise<HubStandIn> {
  const hubs = await HubStandIn.startSecure(pair, host);
  stops.push(() => hubs[Symbol.asyncDispose]());
  return hubs;
}

async function proxy(options?: ConnectProxyOptions): Promise<ConnectProxy> {
  const started = await ConnectProxy.start(options);
  stops.push(() => started[Symbol.asyncDispose]());
  return started;
}

interface Attempt extends HubTransportOptions, Pick<Partial<DialOptions>, 'openTimeoutMs'> {
  readonly fingerprint?: string | undefined;
}

/** Dials until the hub has the hello; the words of the failure otherwise. */
async function attempt(hubs: HubStandIn, options: Attempt = {}): Promise<string> {
  const { fingerprint, openTimeoutMs, ...transport } = options;
  let said = 0;
  const hello = async () => {
    said += 1;
    return { type: 'authenticate', token: 'token-1', version: '1' } as const;
  };
  const { url } = hubs;
  const route = await new HubTransport(transport).route({ url, fingerprint });
  const times = openTimeoutMs === undefined ? {} : { openTimeoutMs };
  const dialling = dial({ url, route, hello, signal, ...times }, (socket) => socket);
  const failed = dialling.then(
    () => Promise.reject(new Error('welcomed by nobody')),
    (error: unknown) => String(error),
  );
  const heard = hubs.accept().then(async (hub) => {
    await hub.next();
    hub.socket.close();
    return 'heard';
  });
  const outcome = await Promise.race([failed, heard]);
  // Nothing of the agent reaches a hub that was not accepted.
  if (outcome !== 'heard') expect(said).toBe(0);
  return outcome;
}

describe('a hub with a certificate', () => {
  it('is refused if no CA vouches for it, with the way out', async () => {
    const pair = await newServerCertificate([HERE]);
    expect(await attempt(await secureHub(pair))).toMatch(/CA_CERT.*SERVER_FINGERPRINT/);
  });

  it('is taken if its CA is the one of CA_CERT, for its own name only', async () => {
    const authority = await newAuthority();
    const caCert = authority.cert;
    const own = await secureHub(await newServerCertificate([HERE], { authority }));
    expect(await attempt(own, { caCert })).toBe('heard');
    const other = await secureHub(await newServerCertificate(['127.0.0.9'], { authority }));
    expect(await attempt(other, { caCert })).toMatch(/does not match/);
  });

  it('is taken if it is the pinned one, whoever signed it and for whatever name', async () => {
    const pair = await newServerCertificate(['elsewhere.example']);
    const fingerprint = fingerprintOf(pair);
    expect(await attempt(await secureHub(pair), { fingerprint })).toBe('heard');
  });

  it('is refused if it is not the pinned one, even if a CA vouches for it', async () => {
    const authority = await newAuthority();
    const pair = await newServerCertificate([HERE], { authority });
    const refused = await attempt(await secureHub(pair), {
      caCert: authority.cert,
      fingerprint: OTHER_PIN,
    });
    expect(refused).toContain(fingerprintOf(pair));
    expect(refused).toContain(OTHER_PIN);
    expect(refused).toMatch(/install_agent/);
  });

  it('is asked for its health in the same way', async () => {
    const pair = await newServerCertificate([HERE]);
    const { url } = await secureHub(pair);
    const transport = new HubTransport();
    const ask = (fingerprint?: string) =>
      checkHub({ hubAddress: { url, fingerprint }, transport }, signal);
    expect((await ask(fingerprintOf(pair)))[0]).toMatchObject({ name: 'hub', ok: true });
    expect((await ask(OTHER_PIN))[0]).toMatchObject({ name: 'hub', ok: false });
    expect((await ask())[0]).toMatchObject({ name: 'hub', ok: false });
  });
});

describe('a proxy', () => {
  it.each(['HTTP_PROXY', 'http_proxy', 'ALL_PROXY'])('of %s leads to a ws:// hub', async (name) => {
    const [hubs, between] = [await plainHub(), await proxy()];
    vi.stubEnv(name, between.url);
    expect(await attempt(hubs, { usesProxy: true })).toBe('heard');
    expect(between.asked).toEqual([new URL(hubs.url).host]);
  });

  it('of HTTPS_PROXY leads to a wss:// hub, and its login is given', async () => {
    const pair = await newServerCertificate([HERE]);
    const hubs = await secureHub(pair);
    const between = await proxy({ login: 'someone:p@ss/word' });
    const login = `someone:${encodeURIComponent('p@ss/word')}@`;
    vi.stubEnv('HTTPS_PROXY', between.url.replace('//', `//${login}`));
    const fingerprint = fingerprintOf(pair);
    expect(await attempt(hubs, { usesProxy: true, fingerprint })).toBe('heard');
    const hubAddress = { url: hubs.url, fingerprint };
    const checks = await checkHub(
      { hubAddress, transport: new HubTransport({ usesProxy: true }) },
      signal,
    );
    expect(checks[0]).toMatchObject({ name: 'hub', ok: true });
    expect(between.asked).toHaveLength(2);
  });

  it('without a scheme is one over HTTP, and a "%" that encodes nothing is one', async () => {
    const hubs = await plainHub();
    const between = await proxy({ login: 'someone:100%' });
    vi.stubEnv('HTTP_PROXY', `someone:100%@${HERE}:${between.port}`);
    expect(await attempt(hubs, { usesProxy: true })).toBe('heard');
  });

  it('is not taken for the hub: the certificate is that of the hub’s own address', async () => {
    const authority = await newAuthority();
    const elsewhere = '127.0.0.2';
    const options = { caCert: authority.cert, usesProxy: true };
    vi.stubEnv('HTTPS_PROXY', `http://localhost:${(await proxy()).port}`);
    const own = await newServerCertificate([elsewhere], { authority });
    expect(await attempt(await secureHub(own, elsewhere), options)).toBe('heard');
    const foreign = await newServerCertificate(['localhost', HERE], { authority });
    expect(await attempt(await secureHub(foreign, elsewhere), options)).toMatch(/does not match/);
  });

  it('that is reached over TLS itself is trusted through CA_CERT', async () => {
    const authority = await newAuthority();
    const pair = await newServerCertificate([HERE], { authority });
    const [hubs, between] = [await secureHub(pair), await proxy({ tls: pair })];
    vi.stubEnv('HTTPS_PROXY', between.url);
    const options = { caCert: authority.cert, usesProxy: true };
    expect(await attempt(hubs, options)).toBe('heard');
    expect(between.asked).toEqual([new URL(hubs.url).host]);
    expect(await attempt(hubs, { usesProxy: true })).toMatch(/^DialError: The proxy https:/);
  });

  it.each([HERE, '*', '10.0.0.1, 127.0.0.1'])(
    'is not used for a hub in NO_PROXY: %s',
    async (none) => {
      const [hubs, between] = [await plainHub(), await proxy()];
      vi.stubEnv('HTTP_PROXY', between.url);
      vi.stubEnv('NO_PROXY', none);
      expect(await attempt(hubs, { usesProxy: true })).toBe('heard');
      expect(between.asked).toEqual([]);
    },
  );

  it('elsewhere is not asked for a hub on this very machine', async () => {
    vi.stubEnv('HTTP_PROXY', 'http://proxy.invalid:3128');
    expect(await attempt(await plainHub(), { usesProxy: true })).toBe('heard');
  });

  it.each([
    [{ login: 'someone:right' }, /refused to connect to .* \(407 .*USER:PASSWORD/],
    [{ refusal: '502 Bad Gateway' }, /refused to connect to .* \(502 Bad Gateway\).*NO_PROXY/],
  ])('that refuses is named with its reason, without its password: %j', async (options, words) => {
    const hubs = await plainHub();
    const between = await proxy(options);
    vi.stubEnv('HTTP_PROXY', between.url.replace('//', '//someone:wrong@'));
    const refused = await attempt(hubs, { usesProxy: true });
    expect(refused).toMatch(words);
    expect(refused).toContain(between.url);
    expect(refused).not.toMatch(/someone|wrong/);
  });

  it.each([false, true])('that never answers is named, and let go (TLS: %s)', async (isSecure) => {
    const authority = await newAuthority();
    const tls = await newServerCertificate([HERE], { authority });
    const between = await proxy({ isSilent: true, ...(isSecure && { tls }) });
    vi.stubEnv('HTTP_PROXY', between.url);
    const options = { caCert: authority.cert, usesProxy: true, openTimeoutMs: 200 };
    expect(await attempt(await plainHub(), options)).toContain(`The proxy ${between.url} opened`);
    await vi.waitFor(() => expect(between.openCount).toBe(0));
  });

  it('that is not there is named', async () => {
    vi.stubEnv('HTTP_PROXY', 'http://someone:secret@127.0.0.1:1');
    const refused = await attempt(await plainHub(), { usesProxy: true });
    expect(refused).toMatch(/The proxy http:\/\/127\.0\.0\.1:1 opened no way .*ECONNREFUSED/);
    expect(refused).not.toContain('secret');
  });

  it.each([
    ['socks5://someone:secret@127.0.0.1:1080', /socks5.*not supported/],
    ['http://someone:secret@[', /no URL/],
  ])('of another kind is refused without its password: %s', async (value, words) => {
    vi.stubEnv('HTTP_PROXY', value);
    const { url } = await plainHub();
    const routing = new HubTransport({ usesProxy: true }).route({ url, fingerprint: undefined });
    const error: unknown = await routing.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'ProxyError', message: expect.stringMatching(words) });
    expect(String(error)).not.toContain('secret');
  });
});
