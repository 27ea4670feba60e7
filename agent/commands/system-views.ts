import { listProcesses } from '../processes/list-processes.ts';
import { listServices } from '../services/list-services.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import type { Handlers } from './handler.ts';

type ViewMethod = 'system.processes' | 'system.services';

/** What runs on the server. */
export function systemViewHandlers(context: {
  readonly shell: () => Promise<ShellPlace>;
}): Pick<Handlers, ViewMethod> {
  return {
    'system.processes': async (params, { signal }) => {
      const { scope } = await context.shell();
      // An agent that can enter process 1 of its server sees that one and all others.
      return await listProcesses(params, scope === 'host' ? 'host' : 'container', signal);
    },
    'system.services': async (params, { signal }) =>
      await listServices(params, await context.shell(), signal),
  };
}
