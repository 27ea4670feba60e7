import type { HostInfo } from '../../protocol/handshake.ts';
import { type AgentHost, IDENTITY_FIELDS, machineIdentity } from '../db/agent-row.ts';

/** Whether a host is another machine: a field that both know differs. What is unknown proves nothing. */
export function isOtherMachine(identity: AgentHost | null, host: HostInfo | undefined): boolean {
  const told = machineIdentity(host);
  return IDENTITY_FIELDS.some((field) => {
    const [known, present] = [identity?.[field], told?.[field]];
    return known !== undefined && present !== undefined && known !== present;
  });
}

/** An identity with the fields that it lacked. */
export function filledIn(identity: AgentHost | null, host: HostInfo | undefined): AgentHost | null {
  return machineIdentity({ ...host, ...identity });
}

/** Whether an id names that machine, or its engine. */
export function isCalled(host: HostInfo, id: string): boolean {
  return IDENTITY_FIELDS.some((field) => host[field] === id);
}
