import { expect, it } from 'vitest';
import { parseUnits } from './parse-units.ts';

// As systemd 252 wrote it; 219 has no NRestarts and writes n/a for times that never were.
const SHOWN = `MainPID=0
Result=exit-code
NRestarts=2
ExecMainStatus=1
Id=bad.service
Description=A = b
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=enabled
StateChangeTimestamp=Fri 2026-11-20 15:53:40 UTC

MainPID=29
Result=success
ExecMainStatus=0
Id=good@1.service
Description=/usr/bin/sleep 30
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=
StateChangeTimestamp=n/a

MainPID=29
Id=good@1.service
ActiveState=active

Id=absent.service
LoadState=not-found
`;

it('reads what systemctl shows, each unit once', () => {
  const units = parseUnits(SHOWN);
  expect(units.map(({ name }) => name)).toEqual(['bad', 'good@1', 'absent']);
  expect(units[0]).toEqual({
    name: 'bad',
    description: 'A = b',
    load: 'loaded',
    state: 'failed',
    sub_state: 'failed',
    enabled: 'enabled',
    since: '2026-11-20T15:53:40Z',
    main_pid: null,
    result: 'exit-code',
    exit_status: 1,
    restarts: 2,
  });
  expect(units[1]).toMatchObject({ main_pid: 29, since: null, restarts: null });
});

it('reads nothing where there are no units', () => {
  expect(parseUnits('')).toEqual([]);
  expect(parseUnits('\n')).toEqual([]);
});
