import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { methodNames } from '../../protocol/commands/catalogue.ts';
import { helloSchema } from '../../protocol/handshake.ts';
import { AgentUnderTest } from '../../test/support/agent-under-test.ts';

const { CODE } = AgentUnderTest;

let agent: AgentUnderTest;
beforeEach(async () => {
  agent = await AgentUnderTest.create();
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
});

describe('Credentials, over a connection', () => {
  it('registers with its code and keeps the token', async () => {
    const { settings } = await agent.start({ registerCode: CODE });
    const { hello, hub } = await agent.hubs.welcome({ metrics_interval: 9 });
    expect(helloSchema.parse(hello)).toMatchObject({
      type: 'register',
      code: CODE,
      protocol: 1,
      access: 'operate',
      capabilities: methodNames(),
      host: { hostname: expect.any(String), arch: expect.any(String) },
      instance_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(await hub.call('a', 'agent.ping')).toHaveProperty('result', 'agent.ping');
    await agent.untilLogged('"connected"');
    expect(await agent.stored()).toMatchObject({
      agent_id: 'agent-1',
      token: `token-of-${CODE}`,
      server_url: agent.hubs.url,
      code_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(settings.agentId).toBe('agent-1');
    expect(settings.config.metrics_interval).toBe(9);
  });

  it('never logs the code or the token', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: 'ANOTHER-CODE' });
    await agent.refuse('CODE_UNKNOWN', 4001);
    const { hub } = await agent.hubs.welcome();
    hub.socket.close(4008);
    await agent.hubs.welcome();
    expect(agent.logged).not.toMatch(/token-of|AAAA|ANOTHER/);
  });

  it('authenticates with the token when the code is the one it registered with, however spelt', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: 'aaaabbbb ccccdddd' });
    const { hello } = await agent.hubs.welcome();
    expect(hello).toMatchObject({ type: 'authenticate', token: `token-of-${CODE}` });
  });

  it('registers anew with a different code', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: 'NEW' });
    const { hello } = await agent.hubs.welcome();
    expect(hello).toMatchObject({ type: 'register', code: 'NEW' });
    await agent.untilLogged('"connected"');
    expect(await agent.stored()).toHaveProperty('token', 'token-of-NEW');
  });

  it('falls back to its token at once when a different code is refused, and stays with it', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: 'NEW' });
    expect(await agent.refuse('CODE_EXPIRED', 4001)).toHaveProperty('type', 'register');
    const { hub, hello } = await agent.hubs.welcome();
    expect(hello).toHaveProperty('type', 'authenticate');
    expect(agent.endings).toEqual([]);
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('type', 'authenticate');
  });

  it('tries the code again after a refusal that was no verdict on it', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: 'NEW' });
    expect(await agent.refuse('TOO_MANY_ATTEMPTS', 4013)).toHaveProperty('type', 'register');
    const { hub, hello } = await agent.hubs.welcome();
    expect(hello).toHaveProperty('type', 'authenticate');
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('type', 'register');
  });

  it('does not fall back when the hub went away while it registered', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: 'NEW' });
    const hub = await agent.hubs.accept();
    await hub.next();
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('type', 'register');
    expect(agent.endings).toEqual([{ closeCode: 1012, authenticatedMs: 0 }]);
  });

  it('says once what to do when it is not known, and dials on', async () => {
    await agent.start({ registerCode: CODE });
    for (let dial = 0; dial < 3; dial += 1) await agent.refuse(undefined, 4001);
    await agent.hubs.accept();
    expect(agent.endings).toHaveLength(3);
    expect(agent.endings[0]).toEqual({ closeCode: 4001, authenticatedMs: 0 });
    expect(agent.logged.match(/install_agent/g)).toHaveLength(1);
  });

  it.each(['CODE_USED', 'CODE_EXPIRED', 'CODE_UNKNOWN'])(
    'ends for good when its only code is refused as %s',
    async (reason) => {
      const { run } = await agent.start({ registerCode: CODE });
      await agent.refuse(reason, 4001);
      expect(await run).toBe('spent');
      expect(agent.endings).toEqual([]);
      expect(agent.logged.match(/install_agent/g)).toHaveLength(1);
    },
  );

  it('ends for good when its only code is that of a revoked agent', async () => {
    const { run } = await agent.start({ registerCode: CODE });
    await agent.refuse('AGENT_REVOKED', 4002);
    expect(await run).toBe('revoked');
  });

  it('tries its only code again after a refusal that was no verdict on it', async () => {
    await agent.start({ registerCode: CODE });
    await agent.refuse('TOO_MANY_ATTEMPTS', 4013);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('code', CODE);
  });

  it('forgets its token and ends for good when it is revoked', async () => {
    const { run } = await agent.start({ registerCode: CODE });
    const { hub } = await agent.hubs.welcome();
    await agent.untilLogged('"connected"');
    hub.socket.close(4002);
    expect(await run).toBe('revoked');
    expect(await readdir(agent.directory)).toEqual([]);
    expect(agent.logged.match(/was revoked/g)).toHaveLength(1);
  });

  it('forgets its token and ends for good when it was revoked while it was away', async () => {
    await agent.registerFirst();
    const { run } = await agent.start({ registerCode: CODE });
    await agent.refuse('AGENT_REVOKED', 4002);
    expect(await run).toBe('revoked');
    expect(await readdir(agent.directory)).toEqual([]);
  });

  it('ends for good even if the revoked token cannot be removed', async () => {
    const { run } = await agent.start({ registerCode: CODE });
    const { hub } = await agent.hubs.welcome();
    await agent.untilLogged('"connected"');
    await rm(agent.directory, { recursive: true });
    await writeFile(agent.directory, '');
    hub.socket.close(4002);
    expect(await run).toBe('revoked');
    expect(agent.logged).toContain('could not be removed');
  });

  it('registers with a code that had no verdict yet when its old token turns out revoked', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: 'NEW' });
    await agent.refuse('TOO_MANY_ATTEMPTS', 4013);
    await agent.refuse('AGENT_REVOKED', 4002);
    expect((await agent.hubs.welcome()).hello).toMatchObject({ type: 'register', code: 'NEW' });
  });

  it('does not spend its code where the token cannot be kept', async () => {
    const file = path.join(agent.directory, 'file');
    await writeFile(file, '');
    const { run } = await agent.start({ registerCode: CODE, dataDir: path.join(file, 'data') });
    await expect(run).rejects.toHaveProperty('name', 'StateNotWritableError');
  });

  it('goes on with a token that it could not keep', async () => {
    const data = path.join(agent.directory, 'data');
    await agent.start({ registerCode: CODE, dataDir: data });
    const hub = await agent.hubs.accept();
    await hub.next();
    await rm(data, { recursive: true });
    await writeFile(data, '');
    hub.send({ type: 'registered', agent_id: 'agent-1', token: 'kept-in-memory', config: {} });
    await agent.untilLogged('token not kept');
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('token', 'kept-in-memory');
  });

  it('refuses to run with neither code nor registration', async () => {
    const { run } = await agent.start();
    await expect(run).rejects.toHaveProperty('name', 'ConfigurationError');
  });
});
