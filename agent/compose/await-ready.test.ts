import { describe, expect, it } from 'vitest';
import { awaitReady } from './await-ready.ts';
import type { ComposeContainer } from './compose-containers.ts';

type State = Partial<ComposeContainer>;

function container(state: State): ComposeContainer {
  const base = { id: 'a', name: 'web', image: 'i', service: 'web', status_text: 'so and so' };
  return { ...base, status: 'running', health: null, exit_code: null, ...state };
}

const steps: string[] = [];

/** Looks that show these states, one after the other; then the time is over. */
async function wait(looks: readonly (readonly State[])[], signal = new AbortController().signal) {
  let at = 0;
  steps.length = 0;
  return await awaitReady({
    list: async () => (looks[at++] ?? []).map(container),
    leftMs: () => (at < looks.length ? 1 : 0),
    progress: (message, fraction) => steps.push(`${message} ${fraction}`),
    signal,
  });
}

describe('waiting for a project', () => {
  it.each<[string, State]>([
    ['runs and cannot tell its health', {}],
    ['is healthy', { health: 'healthy' }],
    ['has done its work', { status: 'exited', exit_code: 0 }],
  ])('ends when each container %s', async (_what, state) => {
    expect(await wait([[state]])).toEqual([container(state)]);
    expect(steps).toEqual([]);
  });

  it.each<State>([
    { health: 'starting' },
    { status: 'created' },
    { status: 'restarting' },
    { status: 'paused' },
  ])('goes on while one is %j, and says for which', async (state) => {
    expect(
      await wait([
        [state, {}],
        [{}, {}],
      ]),
    ).toHaveLength(2);
    expect(steps).toEqual(['waiting for web 0.5']);
  });

  it.each<State>([{ health: 'unhealthy' }, { status: 'exited', exit_code: 3 }, { status: 'dead' }])(
    'fails when one is %j',
    async (state) => {
      await expect(wait([[{}, state]])).rejects.toMatchObject({
        name: 'COMPOSE_FAILED',
        message: expect.stringContaining('web: so and so'),
      });
    },
  );

  it('ends with its time limit', async () => {
    await expect(wait([[{ health: 'starting' }]])).rejects.toMatchObject({
      name: 'COMMAND_TIMED_OUT',
    });
  });

  it('ends with the caller’s own reason', async () => {
    const reason = new Error('cancelled');
    const waiting = wait([[{ health: 'starting' }], []], AbortSignal.abort(reason));
    await expect(waiting).rejects.toBe(reason);
  });

  it('has nothing to wait for where no container is', async () => {
    expect(await wait([[]])).toEqual([]);
  });
});
