import { describe, expect, it } from 'vitest';
import { TomoError } from '../../protocol/errors.ts';
import { listeningContext } from '../../test/support/command-context.ts';
import { EngineOutage } from './engine-outage.ts';

const away = new TomoError('DOCKER_UNAVAILABLE', 'away');
const refused = (status: number) =>
  new TomoError('DOCKER_REFUSED', 'refused', { facts: { status } });

function failing(...errors: Error[]) {
  let calls = 0;
  return async () => {
    const error = errors[calls];
    calls += 1;
    if (error !== undefined) throw error;
    return calls;
  };
}

describe('EngineOutage', () => {
  it('tries again until the engine answers, and says so once', async () => {
    const { context, steps } = listeningContext();
    const outage = new EngineOutage(context);
    expect(await outage.outlast(failing(away, refused(503)))).toBe(3);
    expect(await outage.outlast(failing())).toBe(1);
    expect(steps.map(({ message }) => message)).toEqual([
      'The Docker engine does not answer; waiting for it.',
      'The Docker engine answers again.',
    ]);
  });

  it.each([
    ['a refusal', refused(409)],
    ['what the engine cannot do', refused(501)],
    ['what is not there', new TomoError('NOT_FOUND', 'gone')],
    ['a fault of its own', new RangeError('own')],
  ])('does not wait for %s to pass', async (_what, error) => {
    const { context, steps } = listeningContext();
    await expect(new EngineOutage(context).outlast(failing(error))).rejects.toBe(error);
    expect(steps).toEqual([]);
  });

  it('gives up an engine that answers with nothing but faults', async () => {
    const { context } = listeningContext();
    const outage = new EngineOutage(context, { firstDelayMs: 1, maxDelayMs: 2 });
    const errors = Array.from({ length: 100 }, () => refused(500));
    await expect(outage.outlast(failing(...errors))).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
    });
  });

  it('tries at once when it is told to hurry, and waits again after that', async () => {
    const { context } = listeningContext();
    const outage = new EngineOutage(context, { firstDelayMs: 600_000, maxDelayMs: 600_000 });
    const outlasted = outage.outlast(failing(away, away));
    const hurrying = setInterval(() => outage.hurry(), 5);
    expect(await outlasted).toBe(3);
    clearInterval(hurrying);
  });

  it('ends its wait when it is aborted', async () => {
    const { context } = listeningContext();
    const controller = new AbortController();
    const { signal } = controller;
    const outage = new EngineOutage({ ...context, signal });
    const waiting = outage.outlast(async () => {
      setTimeout(() => controller.abort(), 10);
      throw away;
    });
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await expect(outage.wait(away)).rejects.toBe(signal.reason);
  });
});
