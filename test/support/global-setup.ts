import { startDockerEngine } from './docker-engine.ts';

/** One Docker engine for all test files, found or started; ended afterwards if it was started here. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  const engine = await startDockerEngine();
  if (engine === undefined) return undefined;
  process.env['TOMO_TEST_DOCKER_HOST'] = engine.host;
  return () => engine.stop();
}
