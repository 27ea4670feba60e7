import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { BASE_IMAGE, importBaseImage, requireBaseImage } from '../test/support/base-image.ts';
import { findEngine } from '../test/support/docker-engine.ts';
import { engineAnswers, startOwnEngine, stopOwnEngine } from '../test/support/own-engine.ts';
import { runProgram } from '../test/support/run-program.ts';
import { makeTestCache, testCachePath } from '../test/support/test-cache.ts';
import { importWorkloadImage, WORKLOAD_IMAGE } from '../test/support/workload-image.ts';

// A Docker engine to try things on: npm run test:engine -- start|stop
// `start` finds or starts one and makes the tests' images; `stop` undoes what `start` did.

/** What `start` did, for `stop`. */
const startedSchema = z.object({
  host: z.string(),
  /** Absent when the engine was there already. */
  own: z.object({ host: z.string(), pid: z.number(), directory: z.string() }).optional(),
  images: z.array(z.string()),
});
type Started = z.infer<typeof startedSchema>;

const STATE_FILE = testCachePath('engine.json');

const [action] = process.argv.slice(2);
if (action === 'start') await start();
else if (action === 'stop') await stop();
else fail('npm run test:engine -- start|stop', 2);

async function start(): Promise<void> {
  const before = await started();
  const { host, own, images } =
    before !== undefined && (await engineAnswers(before.host)) ? before : await newEngine();
  const made = new Set(images);
  if (await importWorkloadImage(host)) made.add(WORKLOAD_IMAGE);
  if (requireBaseImage() && (await importBaseImage(host))) made.add(BASE_IMAGE);
  await save({ host, own, images: [...made] });
  process.stdout.write(`export DOCKER_HOST=${host} TOMO_TEST_DOCKER_HOST=${host}\n`);
}

async function newEngine(): Promise<Started> {
  await stop();
  const found = await findEngine();
  if (found !== undefined) return { host: found, images: [] };
  const own = await startOwnEngine(true);
  if (own === undefined)
    return fail('no Docker engine: install docker.io, and run this as root', 1);
  const state = { host: own.host, own, images: [] };
  // At once, so that `stop` finds the engine whatever comes next.
  await save(state);
  return state;
}

async function stop(): Promise<void> {
  const state = await started();
  if (state === undefined) return;
  if (state.own !== undefined) await stopOwnEngine(state.own);
  else if (state.images.length > 0)
    await runProgram('docker', '-H', state.host, 'rmi', ...state.images);
  await rm(STATE_FILE);
}

async function started(): Promise<Started | undefined> {
  if (!existsSync(STATE_FILE)) return undefined;
  return startedSchema.parse(JSON.parse(await readFile(STATE_FILE, 'utf8')));
}

async function save(state: object): Promise<void> {
  await makeTestCache();
  await writeFile(STATE_FILE, `${JSON.stringify(state, undefined, 2)}\n`);
}

function fail(message: string, code: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
