import { z } from 'zod';
import { labels, shortId } from '../../docker-engine/docker-reply.ts';
import { EVENT_TEXT_MAX_CHARS } from '../../protocol/limits.ts';
import { HELPER_LABEL } from '../own-container/own-container.ts';

/** One of the events that the agent itself acts on and tells the hub of. */
export interface EngineEvent {
  /** `container.die`, `image.pull`, `volume.create`, ... */
  readonly type: string;
  /** Of the container, image or network; a volume's name. */
  readonly id: string;
  readonly name: string;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly at: number;
  /** Small: what the hub is told of it. */
  readonly detail: Readonly<Record<string, string | number>>;
  /** About a container that an agent made for a short piece of work. */
  readonly isHelper: boolean;
}

/** What is asked of the engine: everything else it does not send. */
export const EVENT_FILTERS = JSON.stringify({
  type: ['container', 'image', 'volume', 'network'],
  event: [
    'start',
    'die',
    'oom',
    'health_status',
    'create',
    'destroy',
    'remove',
    'rename',
    'pause',
    'unpause',
    'pull',
    'delete',
  ],
});

const TYPES = new Set([
  'container.start',
  'container.die',
  'container.oom',
  'container.health_status',
  'container.create',
  'container.destroy',
  'container.rename',
  'container.pause',
  'container.unpause',
  'image.pull',
  'image.delete',
  'volume.create',
  'volume.remove',
  'network.create',
  'network.remove',
]);

const messageSchema = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: labels }),
  /** Nanoseconds, which a number holds only nearly. */
  timeNano: z.number(),
});

const NANOSECONDS_PER_MS = 1_000_000;
const HEALTH = 'health_status: ';

/** One message of the engine; undefined for what is of no interest, or not a message. */
export function parseEngineEvent(value: unknown): EngineEvent | undefined {
  const message = messageSchema.safeParse(value);
  if (!message.success) return undefined;
  const { Type, Action, Actor, timeNano } = message.data;
  const action = actionOf(Type, Action);
  const type = `${Type}.${action}`;
  if (!TYPES.has(type)) return undefined;
  const { ID: id, Attributes: attributes } = Actor;
  const at = Math.floor(timeNano / NANOSECONDS_PER_MS);
  return {
    type,
    id,
    name: attributes['name'] ?? '',
    at,
    detail: {
      ...subject(Type, id, attributes),
      ...particulars(action, Action, attributes),
      at: new Date(at).toISOString(),
    },
    isHelper: Object.hasOwn(attributes, HELPER_LABEL),
  };
}

/** Volumes and networks are destroyed, say engines of today; some say removed. */
function actionOf(type: string, action: string): string {
  if (action.startsWith(HEALTH)) return 'health_status';
  if (type === 'container') return action === 'remove' ? 'destroy' : action;
  return action === 'destroy' ? 'remove' : action;
}

type Attributes = Readonly<Record<string, string>>;

function subject(type: string, id: string, attributes: Attributes): Record<string, string> {
  const name = attributes['name'];
  switch (type) {
    case 'container':
      return { container: bounded(name ?? shortId(id)), id: shortId(id), ...image(attributes) };
    case 'image':
      return { image: bounded(name ?? id) };
    case 'volume':
      return { volume: bounded(id) };
    default:
      return { network: bounded(name ?? shortId(id)), id: shortId(id) };
  }
}

function image(attributes: Attributes): Record<string, string> {
  const name = attributes['image'];
  return name === undefined ? {} : { image: bounded(name) };
}

function particulars(
  action: string,
  whole: string,
  attributes: Attributes,
): Record<string, string | number> {
  switch (action) {
    case 'die':
      return { exit_code: Number.parseInt(attributes['exitCode'] ?? '', 10) || 0 };
    case 'rename':
      return { old_name: bounded((attributes['oldName'] ?? '').replace(/^\//, '')) };
    case 'health_status':
      return { health: bounded(whole.slice(HEALTH.length)) };
    default:
      return {};
  }
}

function bounded(text: string): string {
  return text.slice(0, EVENT_TEXT_MAX_CHARS);
}
