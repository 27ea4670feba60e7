import { fileURLToPath } from 'node:url';

/** How the agent is started as a process of its own: this program never imports it. */
export function agentProgram(): { command: string; args: string[] } {
  return {
    command: process.execPath,
    args: [fileURLToPath(new URL('../agent/main.ts', import.meta.url))],
  };
}
