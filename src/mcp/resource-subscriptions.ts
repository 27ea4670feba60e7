import { type McpServer, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { SUBSCRIPTIONS_MAX_COUNT } from '../../protocol/limits.ts';
import type { ResourceFeed } from './resource-feed.ts';
import { isAgentUri } from './resources/agent-uris.ts';

/** `resources/subscribe` of 2025-era clients, which the SDK leaves to its users. */
export function acceptSubscriptions(server: McpServer, feed: ResourceFeed): void {
  const subscribed = new Set<string>();
  let unsubscribe: (() => void) | undefined;
  const end = (): void => {
    unsubscribe?.();
    unsubscribe = undefined;
  };
  server.server.setRequestHandler('resources/subscribe', ({ params: { uri } }) => {
    refuse(uri, subscribed);
    subscribed.add(uri);
    unsubscribe ??= tellOf(server, feed, (changed) => subscribed.has(changed));
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params: { uri } }) => {
    subscribed.delete(uri);
    if (subscribed.size === 0) end();
    return {};
  });
  whenClosed(server, end);
}

/** Sends every update: over stdio the SDK lets through what a 2026 client listens to. */
export function tellOfAll(server: McpServer, feed: ResourceFeed): void {
  const end = tellOf(server, feed, () => true);
  whenClosed(server, end);
}

/** Until the returned function is called, or the connection turns out to be closed. */
function tellOf(
  server: McpServer,
  feed: ResourceFeed,
  isWanted: (uri: string) => boolean,
): () => void {
  const unsubscribe = feed.subscribe((event) => {
    if (event.kind !== 'resource_updated' || !isWanted(event.uri)) return;
    // Left unhandled, this would end the process.
    server.server.sendResourceUpdated({ uri: event.uri }).catch(unsubscribe);
  });
  return unsubscribe;
}

function whenClosed(server: McpServer, end: () => void): void {
  const before = server.server.onclose;
  server.server.onclose = () => {
    before?.();
    end();
  };
}

function refuse(uri: string, subscribed: ReadonlySet<string>): void {
  if (!isAgentUri(uri)) {
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      'No such resource. resources/list and resources/templates/list show those there are.',
    );
  }
  if (subscribed.size >= SUBSCRIPTIONS_MAX_COUNT) {
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `A session subscribes to at most ${SUBSCRIPTIONS_MAX_COUNT} resources: unsubscribe from some.`,
    );
  }
}
