import type { AgentConfig } from '../../protocol/handshake.ts';
import { FRAME_MAX_BYTES, PING_AFTER_MS, STREAM_WINDOW_BYTES } from '../../protocol/limits.ts';
import { PROTOCOL_REVISION } from '../../protocol/version.ts';
import type { Admitted } from './admission.ts';
import type { LogSettings } from './log-settings.ts';

/** The answer to an admitted hello; agents that did not name `protocol` get the first deployment's fields. */
export function welcomeMessage(
  admitted: Admitted,
  config: AgentConfig,
  { log_collection }: LogSettings,
): string {
  const { row, hello, token } = admitted;
  const extra =
    hello.protocol === undefined
      ? {}
      : {
          protocol: PROTOCOL_REVISION,
          heartbeat: PING_AFTER_MS / 1_000,
          limits: { frame_bytes: FRAME_MAX_BYTES, stream_window_bytes: STREAM_WINDOW_BYTES },
          access: row.access,
          log_collection,
          ...(admitted.candidateTokenHash === undefined ? {} : { candidate: true }),
        };
  const who =
    token === undefined
      ? { type: 'authenticated', agent_id: row.id }
      : { type: 'registered', agent_id: row.id, token };
  return JSON.stringify({ ...who, config, ...extra });
}
