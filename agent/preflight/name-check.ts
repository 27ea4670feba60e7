import { lookup } from 'node:dns/promises';
import { bounded, type Check } from './check.ts';

/** Whether each name resolves, with the agent's resolver: in a container that is mostly the server's. */
export async function checkNames(names: readonly string[], signal: AbortSignal): Promise<Check[]> {
  return await Promise.all(
    names.map((name) =>
      bounded(`dns ${name}`, signal, async () => {
        const addresses = await lookup(name, { all: true });
        return { ok: true, detail: addresses.map(({ address }) => address).join(', ') };
      }).then((check) => (check.ok ? check : { ...check, next_step: NEXT_STEP })),
    ),
  );
}

const NEXT_STEP = 'Check the spelling, and the name servers in /etc/resolv.conf of the server.';
