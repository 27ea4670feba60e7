import { agentEvents } from './agent-events.ts';
import { agentMetrics } from './agent-metrics.ts';
import { agentStatus, listAgents } from './agent-status.ts';
import { FLEET } from './audit-params.ts';
import { cancelCommand } from './cancel-command.ts';
import { commandHistory } from './command-history.ts';
import { configureAgents } from './configure-agents.ts';
import { databaseErrorsExplained } from './database-errors.ts';
import type { Caller, Fleet } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import { getCommand } from './get-command.ts';
import { installAgent } from './install-agent.ts';
import { LaterCancels } from './later-cancels.ts';
import type { ArgsOf, OperationName, OperationResult } from './operations.ts';
import { isRecorded, recorded } from './recorded-operation.ts';
import { revokeAgent } from './revoke-agent.ts';
import { rotateAgentToken } from './rotate-agent-token.ts';
import { runOnAgents } from './run-on-agents.ts';
import { RunRoom } from './run-room.ts';
import { searchLogs } from './search-logs.ts';
import { SearchTurns } from './search-turns.ts';
import { sendCommand } from './send-command.ts';
import { uninstallAgent } from './uninstall-agent.ts';
import { waitForChanges } from './wait-for-changes.ts';

type Operations = {
  readonly [N in OperationName]: (
    context: FleetContext,
    args: ArgsOf<N>,
    caller: Caller,
  ) => Promise<OperationResult<N>>;
};

const PERFORM: Operations = {
  install_agent: installAgent,
  get_agent_status: agentStatus,
  list_agents: listAgents,
  revoke_agent: revokeAgent,
  uninstall_agent: uninstallAgent,
  send_agent_command: sendCommand,
  get_command: getCommand,
  cancel_command: cancelCommand,
  run_on_agents: runOnAgents,
  configure_agents: configureAgents,
  rotate_agent_token: rotateAgentToken,
  get_command_history: commandHistory,
  get_agent_events: agentEvents,
  search_logs: searchLogs,
  wait_for_changes: waitForChanges,
  get_agent_metrics: agentMetrics,
  describe_owner: (context) => Promise.resolve(context.owner),
  hand_over: (context) => {
    context.handOver();
    return Promise.resolve({});
  },
};

/** The fleet in the process that owns the data directory. */
export class LocalFleet implements Fleet {
  readonly #context: FleetContext;

  constructor(
    context: Omit<FleetContext, 'installing' | 'runs' | 'runRoom' | 'laterCancels' | 'searchTurns'>,
  ) {
    this.#context = {
      ...context,
      installing: new Map(),
      runs: new Map(),
      runRoom: new RunRoom(),
      laterCancels: new LaterCancels(),
      searchTurns: new SearchTurns(),
    };
  }

  get isInstalling(): boolean {
    return this.#context.installing.size > 0;
  }

  /** Cancels the installations under way and waits until what they made is removed again. */
  async endInstallations(): Promise<void> {
    const installations = [...this.#context.installing.values()];
    for (const { abort } of installations) abort.abort();
    await Promise.allSettled(installations.map(({ done }) => done));
  }

  /**
   * Gives up the commands under way whose caller's token is accepted no more, also those that nobody
   * waits for. `isAccepted` is asked by the token's hash, once for each.
   */
  giveUpRuns(isAccepted: (tokenHash: string) => boolean): void {
    const known = new Map<string, boolean>();
    for (const { tokenHash, giveUp } of this.#context.runs.values()) {
      if (tokenHash === undefined) continue;
      const accepted = known.get(tokenHash) ?? isAccepted(tokenHash);
      known.set(tokenHash, accepted);
      if (!accepted) giveUp();
    }
  }

  async perform<N extends OperationName>(
    name: N,
    args: ArgsOf<N>,
    caller: Caller,
  ): Promise<OperationResult<N>> {
    const perform: Operations[N] = PERFORM[name];
    const work = () => databaseErrorsExplained(() => perform(this.#context, args, caller));
    try {
      return await databaseErrorsExplained(() =>
        recorded(this.#context, { name, args, caller }, work),
      );
    } finally {
      if (isRecorded(name)) this.#context.hub.changes.touch(FLEET);
    }
  }
}
