import { expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { commandContext, listeningContext } from '../../test/support/command-context.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { execInContainer } from './docker-container-exec.ts';

const params = { container: 'web', command: ['no-such'], timeout: 5 };
const { signal } = new AbortController();
const context = commandContext({ signal });

// As engines from API 1.42 up answer.
it('says that a program is not there when the engine refuses to start it', async () => {
  const words = 'exec: "no-such": executable file not found in $PATH';
  await using engine = await startScriptedEngine(({ url }, response) => {
    if (url === '/containers/web/exec') json(response, 201, { Id: 'e1' });
    else json(response, 400, { message: words });
  });
  const answer = execInContainer(new DockerEngine(engine.host))(params, context);
  await expect(answer).rejects.toMatchObject({
    name: 'EXEC_FAILED',
    message: expect.stringContaining(words),
  });
});

it('passes on that the engine went away', async () => {
  await using engine = await startScriptedEngine(({ url }, response) => {
    if (url === '/containers/web/exec') json(response, 201, { Id: 'e1' });
    else response.destroy();
  });
  const answer = execInContainer(new DockerEngine(engine.host))(params, context);
  await expect(answer).rejects.toMatchObject({ name: 'DOCKER_UNAVAILABLE' });
});

it('does not claim that processes are gone when the engine went away before they were', async () => {
  let asked = 0;
  await using engine = await startScriptedEngine(({ url }, response) => {
    if (url === '/containers/web/exec' && asked === 0) json(response, 201, { Id: 'e1' });
    else if (url === '/exec/e1/start') response.write('');
    else response.destroy();
    asked += 1;
  });
  const exec = execInContainer(new DockerEngine(engine.host));
  expect(await exec({ ...params, timeout: 1 }, context)).toMatchObject({
    timed_out: true,
    exit_code: -1,
    killed: false,
  });
});

it('waits for a command that goes on after its output has ended', async () => {
  let asked = 0;
  await using engine = await startScriptedEngine(({ url }, response) => {
    if (url === '/containers/web/exec') json(response, 201, { Id: 'e1' });
    else if (url === '/exec/e1/start') response.end();
    else {
      asked += 1;
      json(response, 200, asked < 3 ? { Running: true } : { Running: false, ExitCode: 7, Pid: 9 });
    }
  });
  const exec = execInContainer(new DockerEngine(engine.host));
  expect(await exec(params, context)).toMatchObject({ exit_code: 7, timed_out: false });
});

it('passes its output on as it comes', async () => {
  const frame = (stream: number, text: string) =>
    Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
  await using engine = await startScriptedEngine(({ url }, response) => {
    if (url === '/containers/web/exec') json(response, 201, { Id: 'e1' });
    else if (url === '/exec/e1/start')
      response.end(Buffer.concat([frame(1, 'out'), frame(2, 'err')]));
    else json(response, 200, { Running: false, ExitCode: 0, Pid: 9 });
  });
  const listening = listeningContext();
  const exec = execInContainer(new DockerEngine(engine.host));
  expect(await exec(params, listening.context)).toMatchObject({ stdout: 'out', stderr: 'err' });
  expect(listening.written).toEqual([
    { stream: 'stdout', text: 'out' },
    { stream: 'stderr', text: 'err' },
  ]);
});
