import { DETACHED_MAX_MS } from '../../protocol/limits.ts';
import type { AgentHub } from '../agent-hub/agent-hub.ts';

/** Commands that wait for their agents to be told to stop them; further ones are refused. */
const LATER_MAX_COUNT = 1_000;

/** Commands of agents that are away, to be stopped when the agent is back. Known to this process only. */
export class LaterCancels {
  readonly #ids = new Set<string>();

  /** False if too many wait. */
  add(hub: AgentHub, agentId: string, id: string): boolean {
    if (this.#ids.has(id)) return true;
    if (this.#ids.size >= LATER_MAX_COUNT) return false;
    this.#ids.add(id);
    void this.#tell(hub, agentId, id);
    return true;
  }

  async #tell(hub: AgentHub, agentId: string, id: string): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, AbortSignal.timeout(DETACHED_MAX_MS)]);
    const ended = hub.waitForEnd(id, signal).then(() => false);
    const back = hub.waitForConnection(agentId, { signal }).then(() => true);
    // Without the database nobody knows whether it has ended: to stop one that has does no harm.
    const endedOrBack = ended.catch(() => back);
    // A wait that is over without either has nothing to stop.
    const isBack = await Promise.race([endedOrBack, back]).catch(() => false);
    if (isBack) hub.cancel(agentId, id);
    this.#ids.delete(id);
    over.abort();
    await Promise.allSettled([ended, back]);
  }
}
