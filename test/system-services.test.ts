import { afterAll, describe, expect, it } from 'vitest';
import { listServices } from '../agent/services/list-services.ts';
import { CATALOGUE } from '../protocol/commands/catalogue.ts';
import { requirePart } from './support/docker-engine.ts';
import { startSystemd } from './support/systemd.ts';

const NONE = 'no systemd that starts in namespaces (run as root on Linux with systemd)';
const systemd = requirePart('systemd', await startSystemd(), NONE);

describe.skipIf(systemd === undefined)('system.services of a real systemd', () => {
  afterAll(() => systemd?.[Symbol.asyncDispose]());

  async function list(params: object) {
    const { params: schema, result } = CATALOGUE['system.services'];
    const { entrance = [], environment = {} } = systemd ?? {};
    const place = { scope: 'host', entrance, environment } as const;
    const { signal } = new AbortController();
    return result.parse(await listServices(schema.parse(params), place, signal));
  }

  it('shows what runs and what failed, and since when', async () => {
    const found = await list({ name: 'tomo-*' });
    expect(found).toMatchObject({
      init: 'systemd',
      known: true,
      total: 2,
      failed: ['tomo-bad'],
      services: [
        { name: 'tomo-bad', state: 'failed', result: 'exit-code', exit_status: 7, main_pid: null },
        { name: 'tomo-good', state: 'active', sub_state: 'running', load: 'loaded' },
      ],
    });
    for (const { since } of found.services) {
      expect(Math.abs(Date.now() - Date.parse(since ?? ''))).toBeLessThan(120_000);
    }
  });

  it('finds one by name or by state', async () => {
    expect(await list({ name: 'tomo-good' })).toMatchObject({ total: 1, failed: [] });
    expect((await list({ state: 'failed' })).failed).toEqual(['tomo-bad']);
    expect((await list({})).total).toBeGreaterThanOrEqual(2);
  });

  it('says that there is no such service', async () => {
    for (const name of ['tomo-none', 'tomo-none*']) {
      await expect(list({ name })).rejects.toHaveProperty('name', 'NOT_FOUND');
    }
  });
});
