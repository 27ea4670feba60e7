import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { eventually, startHub, type TestHub } from './support/hub.ts';
import { temporaryDirectory } from './support/temporary-database.ts';

const PROGRAM = fileURLToPath(new URL('support/seed-agent.ts', import.meta.url));

it('serves an agent of the first deployment, which is deaf while it works, unchanged', async () => {
  // The hub's own timings: the point is that they let such an agent work.
  const test = await startHub();
  await test.database.db.settings.set(
    { agent_metrics_interval: '5', agent_health_interval: '10' },
    Date.now(),
  );
  const { agentId, code } = await test.install('web-1');
  const directory = temporaryDirectory();
  const first = startSeedAgent(test, code, directory);
  await eventually(() => expect(test.hub.connected(agentId)).toBeDefined());
  await expect(test.call(agentId)).resolves.toEqual({
    status: 'ok',
    version: '1.0.0',
    agent_id: agentId,
  });

  // Longer than the silence after which any other agent is cut off.
  const command = 'sleep 14; echo awake';
  const call = test.call(agentId, { method: 'system.exec', params: { command } });
  await expect(call).resolves.toEqual({ stdout: 'awake\n', stderr: '', exit_code: 0 });
  await eventually(() => expect(test.hub.telemetry.latestMetrics(agentId)).toBeDefined());
  await eventually(() => expect(test.hub.telemetry.latestHealth(agentId)).toBeDefined());
  const missing = test.call(agentId, { method: 'docker.containers.list' });
  await expect(missing).rejects.toMatchObject({ name: 'METHOD_NOT_FOUND' });
  expect(departures(test)).toBe(0);

  // The connection breaks: the same process comes back, with its token.
  test.cutConnections();
  await eventually(() => expect(departures(test)).toBe(1));
  await eventually(() => expect(test.hub.connected(agentId)).toBeDefined());
  await expect(test.call(agentId)).resolves.toMatchObject({ agent_id: agentId });

  // The process is started anew, as by a restart policy: the used code in its environment is no matter.
  first.kill('SIGKILL');
  await eventually(() => expect(departures(test)).toBe(2));
  startSeedAgent(test, code, directory);
  await eventually(() => expect(test.hub.connected(agentId)).toBeDefined());
  await expect(test.call(agentId)).resolves.toMatchObject({ agent_id: agentId });
  expect(test.hub.counters.refusedHandshakes).toBe(0);
});

function startSeedAgent(test: TestHub, code: string, directory: string): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM], {
    env: { ...process.env, SERVER_URL: test.url, REGISTER_CODE: code, DATA_DIR: directory },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

function departures(test: TestHub): number {
  return test.logged.filter(({ msg }) => msg === 'agent disconnected').length;
}
