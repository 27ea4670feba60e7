import {
  EVENT_METHOD,
  HEALTH_METHOD,
  METRICS_METHOD,
  type RpcNotification,
} from '../../protocol/json-rpc.ts';
import { REPORT_MAX_BYTES } from '../../protocol/limits.ts';
import {
  agentEventSchema,
  healthSchema,
  MOVE_FAILED_EVENT,
  metricsSchema,
  moveFailedSchema,
} from '../../protocol/telemetry.ts';
import type { ConnectedAgent } from './connected-agent.ts';
import { jsonBytes } from './json-bytes.ts';
import type { TelemetryBuffer } from './telemetry-buffer.ts';

/**
 * Keeps what an agent reports. Unknown notifications, ones of more than REPORT_MAX_BYTES, and params
 * that do not fit are ignored.
 */
export function handleNotification(
  telemetry: TelemetryBuffer,
  agent: ConnectedAgent,
  { method, params }: RpcNotification,
  bytes: number,
): void {
  if (bytes > REPORT_MAX_BYTES || jsonBytes(params) === Number.POSITIVE_INFINITY) return;
  switch (method) {
    case METRICS_METHOD:
      telemetry.metrics(agent.agentId, metricsSchema.safeParse(params).data, Date.now());
      return;
    case HEALTH_METHOD:
      telemetry.health(agent.agentId, healthSchema.safeParse(params).data, Date.now());
      return;
    case EVENT_METHOD:
      keepEvent(telemetry, agent, params);
  }
}

function keepEvent(telemetry: TelemetryBuffer, agent: ConnectedAgent, params: unknown): void {
  const event = agentEventSchema.safeParse(params);
  if (!event.success) return;
  const { type, ...detail } = event.data;
  if (type === MOVE_FAILED_EVENT) {
    telemetry.moveFailed(agent.agentId, moveFailedSchema.safeParse(detail).data, Date.now());
  }
  telemetry.event({
    agentId: agent.agentId,
    serverId: agent.serverId,
    type: `agent.${type}`,
    detail,
    at: Date.now(),
  });
}
