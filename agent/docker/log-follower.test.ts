import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { listeningContext } from '../../test/support/command-context.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import type { ContainerLog } from './container-log.ts';
import { EngineOutage } from './engine-outage.ts';
import { nowNanos } from './engine-time.ts';
import { LineWriter, writeLines } from './line-writer.ts';
import { LogFollower, type LogFollowerOptions } from './log-follower.ts';
import { LogLines } from './log-lines.ts';
import { LogPosition } from './log-position.ts';

const LOG: ContainerLog = {
  container: 'c1',
  isTerminal: true,
  rotatesAt: undefined,
  stdout: true,
  stderr: true,
  tail: undefined,
  since: undefined,
  until: undefined,
};

type Answer = (response: ServerResponse) => void;

/** A line of a second of a time long past. */
const line = (second: number) => `2020-01-01T00:00:${String(second).padStart(2, '0')}Z ${second}\n`;
const linesOf = (...seconds: number[]) => seconds.map(line).join('');

const ending =
  (...seconds: number[]): Answer =>
  (response) =>
    response.end(linesOf(...seconds));
const breaking =
  (text: string): Answer =>
  (response) =>
    response.write(text, () => response.destroy());
const refusing =
  (status: number): Answer =>
  (response) =>
    json(response, status, { message: 'the words' });

/** Follows a log of which the engine answers so, one time after the other; then it is not there any more. */
async function follow(
  answers: Answer[],
  log: Partial<ContainerLog> = {},
  runs = [1],
  options: Partial<LogFollowerOptions<'stopped'>> & { readonly isStopped?: boolean } = {},
  pauses?: ConstructorParameters<typeof LogFollower>[1],
) {
  const asked: URLSearchParams[] = [];
  let looks = 0;
  await using engine = await startScriptedEngine(({ url }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://engine');
    if (pathname.endsWith('/logs')) {
      const answer = answers[asked.length];
      asked.push(searchParams);
      answer?.(response);
    } else if (asked.length >= answers.length) {
      json(response, 404, { message: 'No such container' });
    } else {
      const StartedAt = `run ${runs[Math.min(looks, runs.length - 1)]}`;
      looks += 1;
      const Running = options.isStopped !== true;
      json(response, 200, { State: { StartedAt, Running, Restarting: false } });
    }
  });
  const { context, written, steps } = listeningContext();
  const position = new LogPosition({
    mayRepeat: log.rotatesAt !== undefined,
    isTail: log.tail !== undefined,
  });
  const lines = new LogLines({ ignoreCase: false, timestamps: false });
  const follower = new LogFollower<'stopped'>(
    {
      docker: new DockerEngine(engine.host),
      log: { ...LOG, ...log },
      position,
      sink: writeLines(lines, new LineWriter(context)),
      outage: new EngineOutage(context),
      signal: context.signal,
      bearsFirstRefusal: false,
      ...options,
    },
    pauses,
  );
  const ended = await follower.run();
  const text = written.map((piece) => piece.text).join('');
  const { length: looksCount } = engine.calls.filter(({ url }) => !url.includes('/logs'));
  const told = { gaps: position.gaps, steps: steps.map(({ message }) => message) };
  return { ended, text, asked, looksCount, ...told };
}

describe('LogFollower', () => {
  it('asks again from where a broken connection left it, in the middle of a line too', async () => {
    const broken = breaking(`${linesOf(1, 2)}2020-01-01T00:00:03Z hal`);
    const { text, asked, ended, steps } = await follow([broken, ending(1, 2, 3), ending(2, 3, 4)]);
    expect(text).toBe('1\n2\n3\n4\n');
    expect(ended).toBe('container_removed');
    expect(asked.map((query) => query.get('since'))).toEqual([
      null,
      '1577836801.000000000',
      '1577836802.000000000',
    ]);
    expect(steps).toEqual([
      'The Docker engine does not answer; waiting for it.',
      'The Docker engine answers again.',
    ]);
  });

  it('takes the tail of the log once', async () => {
    const { text, asked } = await follow([breaking(''), ending(), ending(1, 2)], { tail: 5 });
    expect(text).toBe('1\n2\n');
    expect(asked.map((query) => query.get('tail'))).toEqual(['5', '5', 'all']);
  });

  it('passes over what is there with a tail of 0', async () => {
    const { text, asked } = await follow([breaking(''), ending(1), ending(1, 2)], { tail: 0 });
    expect(text).toBe('2\n');
    expect(asked.map((query) => query.get('follow'))).toEqual(['false', 'false', 'true']);
  });

  it.each([[404], [409], [500]])('bears a refusal with %i once it has read', async (status) => {
    const { text, ended } = await follow([ending(1), refusing(status), ending(1, 2)]);
    expect(text).toBe('1\n2\n');
    expect(ended).toBe('container_removed');
  });

  it.each([
    [404, 'NOT_FOUND'],
    [409, 'CONFLICT'],
    [500, 'DOCKER_REFUSED'],
  ])('fails at once with the words of a first refusal: %i', async (status, name) => {
    await expect(follow([refusing(status), ending(1)])).rejects.toMatchObject({ name });
  });

  it('fails with the words that the engine writes into a damaged log', async () => {
    const damaged: Answer = (response) => response.end(`${line(1)}Error grabbing logs: EOF\n`);
    await expect(follow([damaged, ending(1)])).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
      message: expect.stringContaining('Error grabbing logs: EOF'),
    });
  });

  it('reads on at once when the container has started again', async () => {
    const { text } = await follow([ending(1), ending(1, 2)], {}, [1, 2]);
    expect(text).toBe('1\n2\n');
  });

  it('reads all files of a log that rotates first when the container has started again', async () => {
    const answers = [ending(1), ending(1), ending(1, 2), ending(2)];
    const { asked, text } = await follow(answers, { rotatesAt: 1e9 }, [1, 1, 2]);
    expect(text).toBe('1\n2\n');
    expect(asked.map((query) => query.get('follow'))).toEqual(['false', 'true', 'false', 'true']);
  });

  it('looks less and less often whether a stopped container was started, and ends in time all the same', async () => {
    const until = nowNanos() + 600_000_000n;
    const answers = [ending(1), ending(1), ending(1, 2), ending()];
    const pauses = { pollMs: 20, stoppedMaxMs: 1e6, stoppedGrowth: 1e5 };
    const options = { isStopped: true };
    const { ended, text, looksCount } = await follow(answers, { until }, [1], options, pauses);
    expect({ ended, text }).toEqual({ ended: 'until', text: '1\n2\n' });
    expect(looksCount).toBeLessThan(10);
  });

  it('reads all files of a log that rotates before it follows the newest', async () => {
    const answers = [breaking(line(1)), ending(1, 2), ending(2, 3)];
    const { asked, text } = await follow(answers, { rotatesAt: 1e9 });
    expect(text).toBe('1\n2\n3\n');
    expect(asked.map((query) => query.get('follow'))).toEqual(['false', 'false', 'true']);
  });

  it('goes back to reading all files when it falls too far behind', async () => {
    const writing: Answer = (response) => {
      let second = 2;
      const timer = setInterval(() => response.write(line(second++)), 2);
      response.on('close', () => clearInterval(timer));
    };
    const last = Array.from({ length: 50 }, (_, index) => index + 1);
    const answers = [ending(1), writing, ending(...last)];
    const { asked, text } = await follow(answers, { rotatesAt: 100 });
    expect(text).toBe(last.map((second) => `${second}\n`).join(''));
    expect(asked.map((query) => query.get('follow'))).toEqual(['false', 'true', 'false']);
  });

  it('leaves what it follows where a file can be missing, and reads that first', async () => {
    const now = Date.now();
    const at = (agoMs: number) => `${new Date(now - agoMs).toISOString()} ${agoMs}\n`;
    const ago = (...times: number[]) => times.map(at).join('');
    // As much as fills what is between engine and reader, and is old when it comes.
    const waited = Array.from({ length: 20_000 }, (_, index) => 5_000 - index * 0.15);
    const skipping: Answer = (response) => response.write(ago(5_010, ...waited, 1_000, 990));
    const answers: Answer[] = [
      (response) => response.end(ago(5_010)),
      skipping,
      (response) => response.end(ago(...waited.slice(-50), 1_500, 1_000, 990)),
    ];
    const { asked, text, gaps } = await follow(answers, { rotatesAt: 1e8 });
    expect(text).toBe([5_010, ...waited, 1_500, 1_000, 990].map((ms) => `${ms}\n`).join(''));
    expect(asked.map((query) => query.get('follow'))).toEqual(['false', 'true', 'false']);
    expect(gaps).toBe(0);
  });

  it('ends with the run of the container if it is to, and asks for nothing more then', async () => {
    const answers = [ending(1), ending(1, 2), ending(1, 2)];
    const options = { endOfRun: 'stopped', isStopped: true } as const;
    const { ended, text, asked, looksCount } = await follow(answers, {}, [1], options);
    expect({ ended, text }).toEqual({ ended: 'stopped', text: '1\n2\n' });
    expect(asked).toHaveLength(2);
    expect(looksCount).toBe(2);
  });

  it('bears a first refusal if it is to', async () => {
    const options = { bearsFirstRefusal: true };
    const { text } = await follow([refusing(500), ending(1)], {}, [1], options);
    expect(text).toBe('1\n');
  });

  it('never asks for what is older than it was to begin with', async () => {
    const since = 1_577_836_801_500_000_000n;
    const { asked } = await follow([breaking(line(2)), ending(2)], { since });
    expect(asked.map((query) => query.get('since'))).toEqual([
      '1577836801.500000000',
      '1577836801.500000000',
    ]);
  });

  it('counts how often lines were gone before they were read', async () => {
    const { gaps, text } = await follow([ending(1, 2), ending(9), ending(9, 10)]);
    expect(gaps).toBe(1);
    expect(text).toBe('1\n2\n9\n10\n');
  });
});
