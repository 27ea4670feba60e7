import {
  EVENT_METHOD,
  EVENTS_ACK_METHOD,
  HEALTH_METHOD,
  LOGS_ACK_METHOD,
  LOGS_METHOD,
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
import type { AgentConnection } from './agent-connection.ts';
import type { EventSequence, Receipt } from './event-sequence.ts';
import { jsonBytes } from './json-bytes.ts';
import type { LogIntake } from './log-intake.ts';
import { REPORTED_PREFIX, type TelemetryBuffer } from './telemetry-buffer.ts';

interface Keepers {
  readonly telemetry: TelemetryBuffer;
  readonly logs: LogIntake;
  readonly eventSequence: EventSequence;
}

/**
 * Keeps what an agent reports. Unknown notifications, reports of more than REPORT_MAX_BYTES, and params
 * that do not fit are ignored. Whether the hub had asked for it.
 */
export function handleNotification(
  { telemetry, logs, eventSequence }: Keepers,
  connection: AgentConnection,
  { method, params }: RpcNotification,
  bytes: number,
): boolean {
  const { agent } = connection;
  if (method === LOGS_METHOD) {
    return logs.take(agent, params, bytes, (batch) =>
      connection.notify(LOGS_ACK_METHOD, { batch }),
    );
  }
  if (bytes > REPORT_MAX_BYTES || jsonBytes(params) === Number.POSITIVE_INFINITY) return false;
  switch (method) {
    case METRICS_METHOD:
      telemetry.metrics(agent.agentId, metricsSchema.safeParse(params).data, Date.now());
      break;
    case HEALTH_METHOD:
      telemetry.health(agent.agentId, healthSchema.safeParse(params).data, Date.now());
      break;
    case EVENT_METHOD:
      keepEvent(telemetry, eventSequence, connection, params);
  }
  return false;
}

function keepEvent(
  telemetry: TelemetryBuffer,
  eventSequence: EventSequence,
  connection: AgentConnection,
  params: unknown,
): void {
  const event = agentEventSchema.safeParse(params);
  if (!event.success) return;
  const { type, seq, ...detail } = event.data;
  const { agentId, serverId, hello } = connection.agent;
  const at = Date.now();
  const keep = (receipt?: Receipt): boolean => {
    if (type === MOVE_FAILED_EVENT) {
      telemetry.moveFailed(agentId, moveFailedSchema.safeParse(detail).data, at);
    }
    const event = { agentId, serverId, type: `${REPORTED_PREFIX}${type}`, detail, at };
    // Without the process a number says nothing: the next one begins anew.
    const { instance_id: instanceId } = hello;
    const isNumbered = seq !== undefined && instanceId !== undefined;
    return telemetry.event(isNumbered ? { ...event, instanceId, seq } : event, receipt);
  };
  if (seq === undefined) {
    keep();
    return;
  }
  eventSequence.take(
    { agentId, instanceId: hello.instance_id ?? '', seq },
    {
      keep,
      acknowledge: (upTo) => connection.notify(EVENTS_ACK_METHOD, { seq: upTo }),
    },
  );
}
