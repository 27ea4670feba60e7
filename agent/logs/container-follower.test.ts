import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { LOG_CONTAINER_NAME_MAX_CHARS } from '../../protocol/limits.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { ContainerFollower } from './container-follower.ts';
import type { CollectedLine } from './open-batch.ts';

const LINE = '2026-01-01T00:00:00.000000001Z hello\r\n';

it('cuts a name that is longer than the hub takes, also that of a container that is renamed', async () => {
  const inspected = {
    Id: 'c1',
    Name: `/${'x'.repeat(300)}`,
    Config: { Tty: true, Labels: {} },
    HostConfig: {},
    State: {
      Running: false,
      Restarting: false,
      StartedAt: '2026-01-01T00:00:00Z',
      FinishedAt: '2026-01-01T00:00:01Z',
    },
  };
  const scripted = await startScriptedEngine(({ url }, response) => {
    if (url.includes('/logs')) response.writeHead(200).end(LINE.repeat(2));
    else json(response, 200, inspected);
  });
  onTestFinished(() => scripted[Symbol.asyncDispose]());
  const taken: CollectedLine['container'][] = [];
  const follower = new ContainerFollower({
    id: 'c1',
    engine: new DockerEngine(scripted.host),
    log: pino({ level: 'silent' }),
    isChosen: () => true,
    position: undefined,
    since: '0',
    put: async ({ container }) => {
      taken.push(container);
      follower.rename('y'.repeat(300));
    },
    onEnd: (failure) => expect(failure).toBeUndefined(),
    signal: new AbortController().signal,
  });
  await follower.ended;
  expect(taken).toEqual([
    { id: 'c1', name: 'x'.repeat(LOG_CONTAINER_NAME_MAX_CHARS) },
    { id: 'c1', name: 'y'.repeat(LOG_CONTAINER_NAME_MAX_CHARS) },
  ]);
});
