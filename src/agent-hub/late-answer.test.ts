import { describe, expect, it } from 'vitest';
import type { CommandRow } from '../db/command-repository.ts';
import { endByAnswer } from './late-answer.ts';
import { resultText } from './result-text.ts';

const STARTED = 1_000;
const INSPECTED = { Config: { Env: ['PASSWORD=secret', 'PATH=/bin'] }, Id: 'c1' };

function endOf(method: string, params: CommandRow['params'], result: unknown) {
  const row: CommandRow = {
    id: 'c1',
    serverId: 'web-1',
    agentId: 'a1',
    actor: 'tester',
    origin: null,
    instanceId: null,
    method,
    params,
    status: 'detached',
    errorCode: null,
    errorMessage: null,
    startedAt: STARTED,
    durationMs: null,
    resultBytes: null,
    resultKept: null,
  };
  const response = { jsonrpc: '2.0', id: 'c1', result } as const;
  return endByAnswer(row, { response, bytes: 7 }, STARTED + 50);
}

describe('the end of a command that is answered later', () => {
  it('has its result to be kept, without the values of environments', () => {
    expect(endOf('docker.containers.inspect', {}, INSPECTED)).toEqual({
      status: 'succeeded',
      durationMs: 50,
      resultBytes: 7,
      result: resultText({ Config: { Env: ['PASSWORD=***', 'PATH=***'] }, Id: 'c1' }),
    });
  });

  it('has none to be kept if it was to show these values', () => {
    const end = endOf('docker.containers.inspect', { reveal_env: true }, INSPECTED);
    expect(end).toMatchObject({ status: 'succeeded', result: undefined });
  });

  it('has the result of a method that the catalogue has no more', () => {
    expect(endOf('of.before', {}, [1])).toMatchObject({
      status: 'succeeded',
      result: resultText([1]),
    });
  });

  it('has none to be kept if it is no valid answer, and no time before its beginning', () => {
    const end = endOf('agent.ping', {}, { nothing: true });
    expect(end).toMatchObject({ status: 'failed', errorCode: 1009, resultBytes: 7 });
    expect(end).not.toHaveProperty('result');
  });
});
