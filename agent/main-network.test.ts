import { watch } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fingerprintOf, newAuthority, newServerCertificate } from '../test/support/certificates.ts';
import { ConnectProxy } from '../test/support/connect-proxy.ts';
import { HubStandIn } from '../test/support/hub-stand-in.ts';
import { type Program, Started } from '../test/support/processes.ts';

const CODE = 'AAAA-BBBB-CCCC-DDDD';
const OLD = `token-of-${CODE}`;
const NEW = 'n'.repeat(43);
const HERE = '127.0.0.1';

let started: Started;
let dataDir = '';
beforeEach(() => {
  started = new Started();
  dataDir = path.join(started.directory(), 'data');
});
afterEach(() => started[Symbol.asyncDispose]());

function launch(hubs: HubStandIn, environment: Record<string, string> = {}): Program {
  return started.agent({
    SERVER_URL: hubs.url,
    REGISTER_CODE: CODE,
    DATA_DIR: dataDir,
    DOCKER_HOST: 'unix:///no/such/socket',
    LOG_LEVEL: 'trace',
    ...environment,
  });
}

async function hub(): Promise<HubStandIn> {
  const hubs = await HubStandIn.start();
  started.defer(() => hubs[Symbol.asyncDispose]());
  return hubs;
}

async function secureHub(pair: { key: string; cert: string }): Promise<HubStandIn> {
  const hubs = await HubStandIn.startSecure(pair);
  started.defer(() => hubs[Symbol.asyncDispose]());
  return hubs;
}

describe('an agent process whose hub has a certificate', () => {
  it('registers if it is the pinned one, and hides the pin from its commands', async () => {
    const pair = await newServerCertificate(['elsewhere.example']);
    const hubs = await secureHub(pair);
    const pin = fingerprintOf(pair);
    launch(hubs, { SERVER_FINGERPRINT: pin.toUpperCase() });
    const { hub: socket, hello } = await hubs.welcome();
    expect(hello).toMatchObject({ type: 'register', server_url: hubs.url });
    const answer = await socket.call('a', 'system.exec', { command: 'env' });
    expect(JSON.stringify(answer).toLowerCase()).not.toContain(pin);
  });

  it('does not give its code to any other, and ends with 1 for its parent', async () => {
    const pair = await newServerCertificate([HERE]);
    const hubs = await secureHub(pair);
    const pin = 'ab'.repeat(32);
    const agent = launch(hubs, { SERVER_FINGERPRINT: pin, TOMO_AGENT_PARENT: '1' });
    expect(await agent.ended).toBe(1);
    const line = await agent.line('not connected');
    expect(line).toContain(pin);
    expect(line).toContain(fingerprintOf(pair));
    expect(agent.log()).not.toContain(CODE);
  });

  it('dials on without a parent', async () => {
    const hubs = await secureHub(await newServerCertificate([HERE]));
    const agent = launch(hubs, { SERVER_FINGERPRINT: 'ab'.repeat(32) });
    await agent.line('not connected');
    await agent.line('not connected', agent.lineCount());
  });

  it.each(['file', 'text'])('registers if its CA is in CA_CERT, a %s', async (kind) => {
    const authority = await newAuthority();
    const hubs = await secureHub(await newServerCertificate([HERE], { authority }));
    const file = path.join(started.directory(), 'ca.pem');
    await writeFile(file, authority.cert);
    launch(hubs, { CA_CERT: kind === 'file' ? file : authority.cert });
    expect((await hubs.welcome()).hello).toHaveProperty('type', 'register');
  });

  it.each([
    ['CA_CERT', { CA_CERT: '/no/such/file' }],
    ['SERVER_FINGERPRINT', { SERVER_FINGERPRINT: 'abc' }],
    ['SERVER_FINGERPRINT', { SERVER_FINGERPRINT: 'ab'.repeat(32) }],
  ])('ends with 2 and one line on %s: %j', async (named, environment) => {
    const agent = launch(await hub(), environment);
    expect(await agent.ended).toBe(2);
    expect(agent.log()).toMatch(new RegExp(`^tomo agent: ${named}: [^\n]*$`));
  });
});

describe('an agent process behind a proxy', () => {
  it('gets through with the login, which is in no log and still is for its commands', async () => {
    const pair = await newServerCertificate([HERE]);
    const hubs = await secureHub(pair);
    await using proxy = await ConnectProxy.start({ login: 'someone:hidden' });
    const agent = launch(hubs, {
      SERVER_FINGERPRINT: fingerprintOf(pair),
      HTTPS_PROXY: proxy.url.replace('//', '//someone:hidden@'),
      DEBUG: '*',
    });
    const { hub: socket } = await hubs.welcome();
    const answer = await socket.call('a', 'system.exec', { command: 'echo $HTTPS_PROXY' });
    expect(answer).toHaveProperty('result.stdout', expect.stringContaining('hidden'));
    expect(proxy.asked).toEqual([new URL(hubs.url).host]);
    await agent.stop('SIGTERM');
    expect(agent.log()).not.toContain('hidden');
    expect(agent.log()).not.toContain(Buffer.from('someone:hidden').toString('base64'));
  });

  it('says why the proxy did not let it through', async () => {
    await using proxy = await ConnectProxy.start({ login: 'someone:right' });
    const url = proxy.url.replace('//', '//someone:wrong@');
    const agent = launch(await hub(), { http_proxy: url });
    const line = await agent.line('not connected');
    expect(line).toContain('407');
    expect(line).toContain(proxy.url);
    expect(agent.log()).not.toContain('wrong');
  });

  it('says so if the proxy is of another kind, and dials on', async () => {
    const agent = launch(await hub(), { HTTP_PROXY: 'socks5://someone:hidden@127.0.0.1:1080' });
    expect(await agent.line('not connected')).toContain('not supported');
    await agent.line('not connected', agent.lineCount());
    expect(agent.log()).not.toContain('hidden');
  });

  it('passes it by for a hub in NO_PROXY', async () => {
    const hubs = await hub();
    launch(hubs, { ALL_PROXY: 'http://127.0.0.1:1', no_proxy: HERE });
    expect((await hubs.welcome()).hello).toHaveProperty('type', 'register');
  });
});

describe('an agent process that is told to move', () => {
  it('stays until it is welcomed, and starts at the new address again', async () => {
    const [from, to] = [await hub(), await hub()];
    const agent = launch(from);
    const { hub: socket } = await from.welcome();
    socket.request('a', 'config.update', { server_url: 'ws://127.0.0.1:1/ws/agent' });
    const failed = await socket.notification('agent.event');
    expect(failed).toMatchObject({ type: 'move_failed' });
    socket.request('b', 'config.update', { server_url: to.url });
    await to.welcome();
    expect(await socket.closed).toBe(1000);
    await agent.stop('SIGKILL');
    launch(from);
    const { hub: again, hello } = await to.welcome();
    expect(hello).toMatchObject({ type: 'authenticate', token: OLD });
    expect(await again.call('c', 'agent.ping')).toHaveProperty('result.status', 'ok');
  });

  it('goes where a person says who has changed its environment since', async () => {
    const [from, to, third] = [await hub(), await hub(), await hub()];
    const agent = launch(from);
    const { hub: socket } = await from.welcome();
    socket.request('a', 'config.update', { server_url: to.url });
    await to.welcome();
    await socket.closed;
    await agent.stop('SIGTERM');
    const elsewhere = launch(third);
    await third.welcome();
    await elsewhere.line('"connected"');
    await elsewhere.stop('SIGTERM');
    // The move is over: the first address is no longer one to be moved away from.
    launch(from);
    expect((await from.welcome()).hello).toHaveProperty('type', 'authenticate');
  });
});

describe('an agent process that is killed during a rotation', () => {
  /** Resolves when a file of this name comes to be in the data directory; looks from now on. */
  function appears(name: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watcher = watch(dataDir, (_event, file) => {
      if (file === name) resolve();
    });
    return promise.finally(() => watcher.close());
  }

  const MOMENTS = ['agent.json.tmp', 'agent.json', 'answer'] as const;
  const CASES = MOMENTS.flatMap((moment) =>
    [[OLD], [OLD, NEW], [NEW]]
      // No hub has the new token alone before it has an answer, or saw it used.
      .filter(([first]) => moment !== 'agent.json.tmp' || first === OLD)
      .map((good) => ({ moment, good })),
  );

  it.each(CASES)('at $moment is taken by a hub that has $good', async ({ moment, good }) => {
    const hubs = await hub();
    const agent = launch(hubs);
    const { hub: socket } = await hubs.welcome();
    await agent.line('"connected"');
    const killed = moment === 'answer' ? undefined : appears(moment);
    socket.request('a', 'agent.rotate_token', { token: NEW });
    await (killed ?? socket.answer('a'));
    await agent.stop('SIGKILL');

    launch(hubs);
    const { hub: again, tried } = await hubs.welcomeToken(good);
    expect(good).toContain(tried.at(-1));
    await again.call('b', 'agent.rotate_token', { token: 'm'.repeat(43) });
    const text = await readFile(path.join(dataDir, 'agent.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ previous_token: tried.at(-1) });
  });
});
