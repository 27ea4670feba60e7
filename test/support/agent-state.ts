import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentState, agentStateSchema } from '../../agent/identity/state.ts';

const FILE = 'agent.json';

/** What an agent keeps in its data directory. */
export function readAgentState(dataDir: string): AgentState {
  return agentStateSchema.parse(JSON.parse(readFileSync(join(dataDir, FILE), 'utf8')));
}

/** A data directory as an agent leaves it that ends at this very moment. */
export function writeAgentState(dataDir: string, state: object): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dataDir, FILE), JSON.stringify(state), { mode: 0o600 });
}
