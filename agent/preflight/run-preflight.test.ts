import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { TomoError } from '../../protocol/errors.ts';
import { HubTransport } from '../connection/hub-transport.ts';
import { OwnContainer } from '../own-container/own-container.ts';
import { bounded } from './check.ts';
import { checkHostShell } from './host-shell-check.ts';
import { type PreflightContext, runPreflight } from './run-preflight.ts';

const { signal } = new AbortController();

describe('system.preflight', () => {
  it('does every check, whichever fail', async () => {
    const engine = new DockerEngine('unix:///no/such/socket');
    const context: PreflightContext = {
      engine,
      own: new OwnContainer({ engine, dataDir: '/no/such', isContained: false }),
      access: 'admin',
      shell: async () => ({ scope: 'host', entrance: [], environment: {} }),
      hubAddress: { url: 'ws://127.0.0.1:1/ws/agent', fingerprint: undefined },
      transport: new HubTransport(),
      dataDir: '/no/such',
    };
    const params = { ports: [1], hosts: ['localhost'] };
    const { ok, checks } = await runPreflight(context, params, signal);
    expect(ok).toBe(false);
    expect(checks.map(({ name }) => name)).toEqual(
      'engine,disk,memory,port 1,dns localhost,hub,clock,host_shell,data_dir'.split(','),
    );
    const verdicts = new Map(checks.map((check) => [check.name, check.ok]));
    expect(verdicts.get('engine')).toBe(false);
    expect(verdicts.get('host_shell')).toBe(true);
    // Whatever does not pass says what to do.
    for (const check of checks) expect(check.ok || check.next_step !== undefined).toBe(true);
  });
});

describe('host_shell', () => {
  it.each(['chroot', 'container'] as const)('says what to grant when it is a %s', async (scope) => {
    const shell = async () => ({ scope, entrance: [], environment: {} });
    expect(await checkHostShell({ access: 'admin', shell }, signal)).toMatchObject([
      {
        ok: false,
        detail: expect.stringContaining(scope),
        next_step: expect.stringContaining('--pid=host'),
      },
    ]);
  });

  it('is not needed without the access that commands need', async () => {
    const shell = async () => {
      throw new Error('looked');
    };
    expect(await checkHostShell({ access: 'read', shell }, signal)).toMatchObject([{ ok: true }]);
  });
});

describe('a check', () => {
  const failing = (error: Error) =>
    bounded('x', signal, async () => {
      throw error;
    });

  it('that takes too long did not pass', async () => {
    const check = await bounded('x', signal, () => new Promise<never>(() => undefined), 20);
    expect(check).toEqual({ name: 'x', ok: false, detail: 'no answer within 0.02 s' });
  });

  it('shows what may be shown of a fault', async () => {
    expect(await failing(new TomoError('CONFLICT', 'taken'))).toHaveProperty('detail', 'taken');
    const errno = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });
    expect(await failing(errno)).toHaveProperty('detail', 'ENOENT: no such file');
    expect((await failing(new RangeError('inner detail'))).detail).not.toContain('inner');
  });

  it('ends when the call is cancelled', async () => {
    const controller = new AbortController();
    const reason = new TomoError('COMMAND_CANCELLED', 'The caller cancelled.');
    const running = bounded('x', controller.signal, () => new Promise<never>(() => undefined));
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
  });
});
