import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { FOREVER } from '../../test/support/candidate.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';
import { AgentHub } from './agent-hub.ts';

describe('start', () => {
  it('leaves no row that says connected, as after a crash', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1');
    const { agentId: pending } = await test.install('web-2');
    const { agentId: revoked } = await test.join('web-3');
    await test.hub.revoke(revoked);
    // A second hub on the same database, as the next process after a crash.
    const { db } = test.database;
    const next = new AgentHub({ db, log: pino({ level: 'silent' }) });
    await next.start();
    expect((await test.row(agentId))?.status).toBe('disconnected');
    expect((await test.row(pending))?.status).toBe('pending');
    expect((await test.row(revoked))?.status).toBe('revoked');
    await next.close();
  });
});

describe('close', () => {
  it('sends 1012 to agents and to sockets in the handshake, and writes who is away', async () => {
    const test = await startHub();
    const joined = [await test.join('web-1'), await test.join('web-2')];
    const waiting = await test.dial();
    await test.hub.close();
    for (const { agent, agentId } of joined) {
      expect((await agent.closed).code).toBe(1012);
      expect(await test.row(agentId)).toMatchObject({ status: 'disconnected' });
      expect(test.hub.connected(agentId)).toBeUndefined();
    }
    expect((await waiting.closed).code).toBe(1012);
  });

  it('fails the calls in flight', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1');
    const lost = expect(test.call(agentId)).rejects.toMatchObject({ name: 'CONNECTION_LOST' });
    await test.hub.close();
    await lost;
  });

  it('does not spend a code that arrives when the socket is closing already', async () => {
    const test = await startHub();
    const { agentId, code } = await test.install('web-1');
    const agent = await test.dial();
    agent.socket.pause();
    await test.hub.close();
    agent.send({ type: 'register', code, version: '1' });
    await agent.writeRaw('');
    agent.socket.resume();
    expect((await agent.closed).code).toBe(1012);
    expect(await test.row(agentId)).toMatchObject({ status: 'pending', registeredAt: null });
    expect(test.hub.counters.connected).toBe(0);
  });

  it('ends even when the database is gone', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1');
    test.database.connection.close();
    await test.hub.close();
    expect((await agent.closed).code).toBe(1012);
  });

  it('turns further sockets away with 503 and ends their connections', async () => {
    const test = await startHub();
    await test.hub.close();
    const { hostname, port } = new URL(test.url);
    const client = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    client.write(
      'GET /ws/agent HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    const [answer] = await once(client, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 503 /);
    // The client ends nothing; only the hub can have ended the connection.
    await eventually(() => expect(test.openConnections).toBe(0));
    client.destroy();
  });

  it('is followed by terminate for agents that do not answer', async () => {
    const test = await startHub();
    const { agent } = await test.join('web-1');
    agent.socket.pause();
    await test.hub.close();
    test.hub.terminate();
    agent.socket.resume();
    expect((await agent.closed).code).toBe(1012);
  });
});

describe('terminate in the middle of an admission', () => {
  it('leaves no row that says connected', async () => {
    const test = await startHub();
    const { token, agentId } = await test.join('web-1');
    const { agents } = test.database.db;
    const authenticated = agents.authenticated.bind(agents);
    agents.authenticated = async (...args) => {
      const accepted = await authenticated(...args);
      await terminated(test);
      return accepted;
    };
    const agent = await test.dial();
    agent.send({ type: 'authenticate', token, version: '1' });
    await agent.closed;
    await eventually(async () =>
      expect(await test.row(agentId)).toMatchObject({ status: 'disconnected' }),
    );
    expect(test.hub.counters.connected).toBe(0);
  });

  it('does not leave a refusal waiting for an end that has passed', async () => {
    const test = await startHub();
    const { agents } = test.database.db;
    agents.findByTokenHash = async () => {
      await terminated(test);
      return undefined;
    };
    const agent = await test.dial();
    agent.send({ type: 'authenticate', token: 'unknown', version: '1' });
    await agent.closed;
    await eventually(() => expect(test.hub.counters.refusedHandshakes).toBe(1));
  });
});

describe('a wait for an agent', () => {
  it('ends at once when it is connected, and else when it comes', async () => {
    const test = await startHub();
    const { agentId, code } = await test.install('web-1');
    const waits = [1, 2].map(() => test.hub.waitForConnection(agentId, { signal: FOREVER }));
    const agent = await test.dial();
    await agent.hello({ type: 'register', code, version: '1' });
    const connected = test.hub.connected(agentId);
    expect(connected).toBeDefined();
    for (const wait of waits) expect(await wait).toBe(connected);
    expect(await test.hub.waitForConnection(agentId, { signal: FOREVER })).toBe(connected);
  });

  it('passes over a connection that is older than asked for', async () => {
    const test = await startHub();
    const { agentId, token } = await test.join('web-1');
    const older = test.hub.connected(agentId);
    const since = (older?.connectedAt ?? 0) + 1;
    const wait = test.hub.waitForConnection(agentId, { since, signal: FOREVER });
    await test.rejoin(token);
    expect(await wait).toBe(test.hub.connected(agentId));
    expect(await wait).not.toBe(older);
  });

  it('is over when the waiter gives up, for whatever it was', async () => {
    const test = await startHub();
    const { agentId } = await test.install('web-1');
    const { agentId: connected } = await test.join('web-2');
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const waits = Promise.allSettled([
      test.hub.waitForConnection(agentId, { signal }),
      test.hub.waitForDeparture(connected, signal),
    ]);
    giveUp.abort();
    const reason = expect.objectContaining({ name: 'COMMAND_CANCELLED', code: 1004 });
    expect(await waits).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
  });

  it('for its departure ends when its socket closes, and at once when it is away', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const wait = test.hub.waitForDeparture(agentId, FOREVER);
    agent.socket.close();
    await wait;
    await test.hub.waitForDeparture(agentId, FOREVER);
    expect(test.hub.connected(agentId)).toBeUndefined();
  });
});

describe('a forgotten agent', () => {
  it('leaves no row behind, although its socket closes late', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    const row = await test.row(agentId);
    agent.socket.pause();
    await test.hub.revoke(agentId);
    const forgotten = test.hub.forget({ id: agentId, serverId: row?.serverId ?? '' });
    agent.socket.resume();
    await forgotten;
    expect((await agent.closed).code).toBe(4002);
    expect(await test.row(agentId)).toBeUndefined();
    await test.hub.telemetry.flush();
    expect(await test.database.db.events.recent(agentId, 10)).toEqual([]);
  });
});

describe('a departure', () => {
  it('is logged when it cannot be written, and the hub goes on', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1');
    test.database.connection.close();
    agent.socket.close();
    await eventually(() =>
      expect(test.logged).toContainEqual(
        expect.objectContaining({ level: 50, msg: expect.stringContaining('departure') }),
      ),
    );
    expect(test.hub.connected(agentId)).toBeUndefined();
  });
});

/** A database of another kind could take its time, in which sockets end. */
async function terminated(test: TestHub): Promise<void> {
  test.hub.terminate();
  await eventually(() => expect(test.openConnections).toBe(0));
  // The sockets' own close events follow within the turn.
  await setImmediate();
}
