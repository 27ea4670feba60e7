import type { HubCounters } from './agent-hub/hub-counters.ts';

/** The hub's numbers in Prometheus' text format. */
export function prometheusText(counters: HubCounters): string {
  const rows: [name: string, type: 'gauge' | 'counter', help: string, value: number][] = [
    ['tomo_agents_connected', 'gauge', 'Agents with an open socket.', counters.connected],
    ['tomo_calls_in_flight', 'gauge', 'Commands that wait for an answer.', counters.callsInFlight],
    ['tomo_calls_total', 'counter', 'Commands sent to agents.', counters.calls],
    [
      'tomo_stray_answers_total',
      'counter',
      'Answers that no command waited for.',
      counters.strayAnswers,
    ],
    [
      'tomo_stray_progress_total',
      'counter',
      'Messages about commands that were not under way, and output past a command’s limits.',
      counters.strayProgress,
    ],
    [
      'tomo_refused_handshakes_total',
      'counter',
      'Sockets that were not let in.',
      counters.refusedHandshakes,
    ],
    [
      'tomo_superseded_total',
      'counter',
      'Sockets replaced by a newer one of their agent.',
      counters.superseded,
    ],
    [
      'tomo_clones_refused_total',
      'counter',
      'Sockets refused because their token belongs to another machine.',
      counters.clonesRefused,
    ],
    [
      'tomo_taking_turns_total',
      'counter',
      'How often two processes of one agent replaced each other in turn.',
      counters.takingTurns,
    ],
    [
      'tomo_telemetry_dropped_total',
      'counter',
      'Rows of metrics and events that were not kept.',
      counters.telemetryDropped,
    ],
  ];
  return rows
    .map(
      ([name, type, help, value]) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`,
    )
    .join('');
}
