import type { Health } from '../../protocol/telemetry.ts';
import { VERSION } from '../../protocol/version.ts';

/** The agent's own state. */
export function measureHealth(): Health {
  return { status: 'healthy', uptime: Math.floor(process.uptime()), version: VERSION };
}
