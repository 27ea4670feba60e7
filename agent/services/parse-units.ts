/** A service of systemd. */
export interface Unit {
  readonly name: string;
  readonly description: string;
  readonly load: string;
  readonly state: string;
  readonly sub_state: string;
  readonly enabled: string;
  /** When it came into its state; null of one that was never started. */
  readonly since: string | null;
  readonly main_pid: number | null;
  /** "success", or why it failed: "exit-code", "signal", "timeout", ... */
  readonly result: string;
  /** Exit code, or number of the signal, of its main process when that ended. */
  readonly exit_status: number | null;
  readonly restarts: number | null;
  readonly [more: string]: unknown;
}

/** What systemctl(1) is asked to show; those that an old one does not know it leaves out. */
export const UNIT_PROPERTIES: readonly string[] = [
  'Id',
  'Description',
  'LoadState',
  'ActiveState',
  'SubState',
  'UnitFileState',
  'StateChangeTimestamp',
  'MainPID',
  'Result',
  'ExecMainStatus',
  'NRestarts',
];

/** Reads `systemctl show`: lines of NAME=VALUE, an empty line between units. */
export function parseUnits(text: string): Unit[] {
  const units = new Map<string, Unit>();
  for (const block of text.split('\n\n')) {
    const unit = parseUnit(block);
    // A pattern also matches the second names of a unit.
    if (unit !== undefined && !units.has(unit.name)) units.set(unit.name, unit);
  }
  return [...units.values()];
}

function parseUnit(block: string): Unit | undefined {
  const properties = new Map(
    block.split('\n').map((line): [string, string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const id = properties.get('Id');
  if (id === undefined) return undefined;
  const text = (name: string): string => properties.get(name) ?? '';
  const number = (name: string): number | null =>
    /^\d+$/.test(text(name)) ? Number(text(name)) : null;
  return {
    name: id.replace(/\.service$/, ''),
    description: text('Description'),
    load: text('LoadState'),
    state: text('ActiveState'),
    sub_state: text('SubState'),
    enabled: text('UnitFileState'),
    since: isoTime(text('StateChangeTimestamp')),
    // 0 of one that does not run.
    main_pid: number('MainPID') || null,
    result: text('Result'),
    exit_status: number('ExecMainStatus'),
    restarts: number('NRestarts'),
  };
}

/** "Fri 2026-11-20 15:31:25 UTC". */
function isoTime(text: string): string | null {
  const [, day, time] = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC$/.exec(text) ?? [];
  return day === undefined ? null : `${day}T${time}Z`;
}
