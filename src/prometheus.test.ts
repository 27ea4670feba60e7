import { expect, it } from 'vitest';
import { prometheusText } from './prometheus.ts';

it('gives each number of the hub a name, a type and its value', () => {
  const text = prometheusText({
    connected: 1,
    callsInFlight: 2,
    calls: 3,
    strayAnswers: 4,
    refusedHandshakes: 5,
    superseded: 6,
    clonesRefused: 7,
    takingTurns: 8,
    telemetryDropped: 9,
  });
  expect(text.match(/^tomo_\w+ \d$/gm)).toEqual([
    'tomo_agents_connected 1',
    'tomo_calls_in_flight 2',
    'tomo_calls_total 3',
    'tomo_stray_answers_total 4',
    'tomo_refused_handshakes_total 5',
    'tomo_superseded_total 6',
    'tomo_clones_refused_total 7',
    'tomo_taking_turns_total 8',
    'tomo_telemetry_dropped_total 9',
  ]);
  expect(text).toContain('# TYPE tomo_telemetry_dropped_total counter\n');
});
