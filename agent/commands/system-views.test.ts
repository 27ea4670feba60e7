import { describe, expect, it } from 'vitest';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import { systemViewHandlers } from './system-views.ts';

const context = {
  signal: new AbortController().signal,
  afterAnswer: () => undefined,
  output: { write: async () => undefined, progress: () => undefined },
};

function handlers(scope: ShellPlace['scope']) {
  const environment = { PATH: process.env['PATH'] ?? '' };
  return systemViewHandlers({ shell: async () => ({ scope, entrance: [], environment }) });
}

describe.skipIf(process.platform !== 'linux')('an agent', () => {
  it.each([
    ['host', 'host'],
    ['chroot', 'container'],
    ['container', 'container'],
  ] as const)(
    'whose commands run in %s says it sees the processes of the %s',
    async (scope, seen) => {
      const { params, result } = CATALOGUE['system.processes'];
      const found = await handlers(scope)['system.processes'](
        params.parse({ sort: 'pid' }),
        context,
      );
      expect(result.parse(found).scope).toBe(seen);
    },
  );

  it('says where it looked for services', async () => {
    const { params, result } = CATALOGUE['system.services'];
    const found = await handlers('host')['system.services'](params.parse({}), context);
    expect(result.parse(found)).toMatchObject({ scope: 'host', init: expect.stringMatching(/./) });
  });
});
