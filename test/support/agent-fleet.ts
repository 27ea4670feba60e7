/** Many agents in one process, each as its own program would run it: `node agent-fleet.ts FILE`. */
import { readFileSync } from 'node:fs';
import { destination, pino } from 'pino';
import { z } from 'zod';
import { commandEnvironment, readOptions } from '../../agent/config.ts';
import { runAgent } from '../../agent/run-agent.ts';

/** One environment an agent, by the name of its server. */
const fleetSchema = z.record(z.string(), z.record(z.string(), z.string()));

const fleet = fleetSchema.parse(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
const log = pino({ level: 'info' }, destination({ fd: 2, sync: true }));
const ending = new AbortController();
const stop = (): void => ending.abort();
process.once('SIGTERM', stop);

const running = Object.entries(fleet).map(async ([serverId, variables]) => {
  const environment = commandEnvironment(process.env);
  const options = readOptions(variables);
  const own = log.child({ agent: serverId });
  const end = await runAgent({ options, environment, log: own, stop, signal: ending.signal });
  own.info({ end }, 'agent ended');
});
await Promise.all(running);
