import { expect, it } from 'vitest';
import { prometheusText } from './prometheus.ts';

it('gives each number of the hub a name, a type and its value', () => {
  const text = prometheusText({
    connected: 1,
    callsInFlight: 2,
    calls: 3,
    strayAnswers: 4,
    strayProgress: 5,
    refusedHandshakes: 6,
    superseded: 7,
    clonesRefused: 8,
    takingTurns: 9,
    telemetryDropped: 10,
  });
  expect(text.match(/^tomo_\w+ \d+$/gm)).toEqual([
    'tomo_agents_connected 1',
    'tomo_calls_in_flight 2',
    'tomo_calls_total 3',
    'tomo_stray_answers_total 4',
    'tomo_stray_progress_total 5',
    'tomo_refused_handshakes_total 6',
    'tomo_superseded_total 7',
    'tomo_clones_refused_total 8',
    'tomo_taking_turns_total 9',
    'tomo_telemetry_dropped_total 10',
  ]);
  expect(text).toContain('# TYPE tomo_telemetry_dropped_total counter\n');
});
