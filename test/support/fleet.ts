import { pino } from 'pino';
import { Audit } from '../../src/fleet/audit.ts';
import type { Caller } from '../../src/fleet/fleet.ts';
import type { FleetContext } from '../../src/fleet/fleet-context.ts';
import { LocalFleet } from '../../src/fleet/local-fleet.ts';
import {
  type ArgsOf,
  type OperationName,
  type OperationResult,
  parseArgs,
} from '../../src/fleet/operations.ts';
import { startHub, type TestHub } from './hub.ts';

export const ADMIN: Caller = { actor: 'tester', access: 'admin' };
export const READER: Caller = { actor: 'tester', access: 'read' };

/** A fleet over a real hub and database, whose agents are fakes. */
export interface TestFleet {
  readonly test: TestHub;
  /** Performs an operation with arguments as a tool would get them. */
  readonly perform: <N extends OperationName>(
    name: N,
    args: object,
    caller?: Caller,
  ) => Promise<OperationResult<N>>;
}

export async function startFleet({
  publicUrl = 'http://127.0.0.1:8000',
  fingerprint,
}: Partial<Pick<FleetContext, 'publicUrl' | 'fingerprint'>> = {}): Promise<TestFleet> {
  const test = await startHub();
  const url = 'http://127.0.0.1:8000';
  const log = pino({ level: 'silent' });
  const { db } = test.database;
  const serving = {
    host: '127.0.0.1',
    port: 8000,
    tlsSelfSigned: false,
    trustedProxies: [],
    readOnly: false,
    tokenHash: '',
  };
  const owner = { pid: process.pid, kind: 'server', url, serving } as const;
  const audit = new Audit(db.commands, log);
  const handOver = () => undefined;
  const fleet = new LocalFleet({
    db,
    hub: test.hub,
    audit,
    publicUrl,
    fingerprint,
    owner,
    handOver,
    log,
  });
  return {
    test,
    perform: (name, args, caller = ADMIN) => {
      const parsed: ArgsOf<typeof name> = parseArgs(name, args);
      return fleet.perform(name, parsed, caller);
    },
  };
}
