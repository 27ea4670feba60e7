import {
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { toTomoError } from '../../../protocol/errors.ts';
import type { Caller } from '../../fleet/fleet.ts';
import type { ToolDeps } from '../define-tool.ts';
import { AGENT_TEMPLATE, AGENTS_URI, agentUri } from './agent-uris.ts';

/** Most agents that the resources name; the tools have pages. */
const AGENTS_MAX_COUNT = 1_000;
const EVENTS_COUNT = 20;
const MIME_TYPE = 'application/json';

type Deps = Pick<ToolDeps, 'fleet' | 'callerOf' | 'log'>;

/** `tomo://agents` and `tomo://agents/{server_id}`: what the fleet looks like now, as JSON. */
export function registerAgentResources(server: McpServer, deps: Deps): void {
  server.registerResource(
    'agents',
    AGENTS_URI,
    {
      title: 'Agents',
      description: 'The servers and the state of their agents.',
      mimeType: MIME_TYPE,
    },
    async (uri, context) =>
      answered(deps, async () => {
        const { agents } = await list(deps, callerOf(deps, context));
        return contents(uri.href, { agents });
      }),
  );
  const listAll = async (context: ServerContext) =>
    answered(deps, async () => {
      const { agents } = await list(deps, callerOf(deps, context));
      return {
        resources: agents.map(({ server_id, status }) => ({
          uri: agentUri(server_id),
          name: server_id,
          description: `Agent of ${server_id}: ${status}`,
          mimeType: MIME_TYPE,
        })),
      };
    });
  server.registerResource(
    'agent',
    new ResourceTemplate(AGENT_TEMPLATE, { list: listAll }),
    {
      title: 'Agent of a server',
      description: `Its status and its last ${EVENTS_COUNT} events.`,
      mimeType: MIME_TYPE,
    },
    async (uri, { server_id }, context) =>
      answered(deps, async () => {
        const caller = callerOf(deps, context);
        const [serverId = ''] = [server_id].flat();
        const agent = await deps.fleet.perform('get_agent_status', { server_id: serverId }, caller);
        const page = { server_id: serverId, limit: EVENTS_COUNT };
        const { events } = await deps.fleet.perform('get_agent_events', page, caller);
        return contents(uri.href, { agent, events });
      }),
  );
}

function callerOf({ callerOf: of }: Deps, context: ServerContext): Caller {
  return { ...of(context), signal: context.mcpReq.signal };
}

function list({ fleet }: Deps, caller: Caller) {
  return fleet.perform('list_agents', { limit: AGENTS_MAX_COUNT }, caller);
}

function contents(uri: string, value: object) {
  return { contents: [{ uri, mimeType: MIME_TYPE, text: JSON.stringify(value, null, 1) }] };
}

/** What goes wrong as an error of the protocol with words for people, and nothing else. */
async function answered<T>({ log }: Deps, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const error = toTomoError(cause);
    if (error.name === 'INTERNAL_ERROR') log.error({ err: cause }, 'a resource could not be read');
    const code =
      error.name === 'UNKNOWN_SERVER'
        ? ProtocolErrorCode.ResourceNotFound
        : ProtocolErrorCode.InternalError;
    throw new ProtocolError(code, error.message, { name: error.name, code: error.code });
  }
}
