import { TomoError } from '../../protocol/errors.ts';
import {
  RUNS_PER_ACTOR_AND_AGENT_MAX_COUNT,
  RUNS_PER_ACTOR_MAX_COUNT,
} from '../../protocol/limits.ts';

/**
 * How many commands each actor has under way, on each agent and on all: whoever starts many that last
 * leaves the other actors, and the hub itself, most of the calls that agents take.
 */
export class RunRoom {
  readonly #counts = new Map<string, number>();

  /** Takes the place of one more; answers what gives it back, once. Throws LIMIT_REACHED. */
  take(actor: string, { id, serverId }: { readonly id: string; readonly serverId: string }) {
    const ofAgent = JSON.stringify([actor, id]);
    const overall = JSON.stringify([actor]);
    if (this.#count(ofAgent) >= RUNS_PER_ACTOR_AND_AGENT_MAX_COUNT) {
      throw tooMany(actor, RUNS_PER_ACTOR_AND_AGENT_MAX_COUNT, ` on ${serverId}`);
    }
    if (this.#count(overall) >= RUNS_PER_ACTOR_MAX_COUNT) {
      throw tooMany(actor, RUNS_PER_ACTOR_MAX_COUNT, '');
    }
    for (const key of [ofAgent, overall]) this.#add(key, 1);
    return (): void => {
      for (const key of [ofAgent, overall]) this.#add(key, -1);
    };
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  #add(key: string, more: 1 | -1): void {
    const count = this.#count(key) + more;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

function tooMany(actor: string, limit: number, where: string): TomoError {
  return new TomoError(
    'LIMIT_REACHED',
    `${limit} commands of yours (${actor}) are under way${where} already; nothing was sent. End some with cancel_command (get_command_history shows them), or wait until one has ended.`,
    { facts: { limit } },
  );
}
