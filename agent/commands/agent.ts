import { VERSION } from '../../protocol/version.ts';
import type { LiveSettings } from '../live-settings.ts';
import type { Handlers } from './handler.ts';

export function agentHandlers(
  settings: LiveSettings,
): Pick<Handlers, 'agent.ping' | 'config.update'> {
  return {
    'agent.ping': async () => ({ status: 'ok', version: VERSION, agent_id: settings.agentId }),
    'config.update': async (params) => {
      settings.update(params);
      return { status: 'ok', config: settings.config };
    },
  };
}
