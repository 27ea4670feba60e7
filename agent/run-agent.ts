import type { Logger } from 'pino';
import { DockerEngine } from '../docker-engine/docker-engine.ts';
import { MetricsSampler } from './collectors/metrics.ts';
import { allHandlers } from './commands/all-handlers.ts';
import type { AgentOptions } from './config.ts';
import { Connection, type ConnectionEnd, type ConnectionOptions } from './connection/connection.ts';
import { chooseHub } from './connection/hub-address.ts';
import { HubTransport } from './connection/hub-transport.ts';
import { createDispatcher, type Dispatch } from './dispatcher.ts';
import { EngineEventFeed, type Report } from './events/engine-event-feed.ts';
import { EngineEvents } from './events/engine-events.ts';
import type { Feed } from './feed.ts';
import { HealthFile } from './health-file.ts';
import { isInContainer } from './host-info.ts';
import { Ceiling } from './identity/ceiling.ts';
import { Credentials, isNewCode } from './identity/credentials.ts';
import { KeptState } from './identity/kept-state.ts';
import { type AgentState, StateFile } from './identity/state.ts';
import { LiveSettings } from './live-settings.ts';
import { LogCollector } from './logs/log-collector.ts';
import { PositionFile } from './logs/position-file.ts';
import { endForGood } from './own-container/end-for-good.ts';
import { OwnContainer } from './own-container/own-container.ts';
import { selfProtection } from './own-container/self-protection.ts';
import { RunningCommands } from './running-commands.ts';
import { findShellPlace, type ShellPlace } from './shell/shell-place.ts';

interface Started {
  readonly options: AgentOptions;
  /** The environment that commands start from where they run beside the agent. */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: Logger;
  /** Aborts `signal`. */
  readonly stop: () => void;
  readonly signal: AbortSignal;
}

/**
 * Runs an agent to its end; in a container of its own, one that the hub has no more use for does not
 * return before it is told to stop. Throws ConfigurationError and StateNotWritableError.
 */
export async function runAgent(started: Started): Promise<ConnectionEnd> {
  const { options, log, signal } = started;
  // A child of another program shares that program's container, if any.
  const isContained = isInContainer() && !options.hasParent;
  const engine = new DockerEngine(options.dockerHost);
  const own = new OwnContainer({ engine, dataDir: options.dataDir, isContained });
  const health = options.hasHealthCheck ? new HealthFile(log) : undefined;
  const end = await connect(started, { engine, own, health, settings: new LiveSettings() });
  if (end !== 'stopped' && isContained) await endForGood({ own, engine, log }, signal);
  return end;
}

async function connect(started: Started, parts: Omit<Parts, 'feeds'>): Promise<ConnectionEnd> {
  await using feeds = await startFeeds(started, parts);
  const connection = await prepare(started, { ...parts, feeds: feeds.all });
  return await connection.run(started.signal);
}

interface Feeds extends AsyncDisposable {
  readonly all: readonly Feed[];
}

/** What the agent tells on its own: the engine's events, and the logs of containers. */
async function startFeeds(
  { options: { dataDir }, log }: Started,
  { engine, settings }: Pick<Parts, 'engine' | 'settings'>,
): Promise<Feeds> {
  const events = new EngineEvents({ engine, log });
  const eventFeed = new EngineEventFeed({ events });
  const positions = new PositionFile(dataDir, log);
  await positions.load();
  const report = (told: Report): void => eventFeed.report(told);
  const logs = new LogCollector({ engine, events, settings, positions, report, log });
  return {
    all: [eventFeed, logs.feed],
    [Symbol.asyncDispose]: async () => {
      eventFeed[Symbol.dispose]();
      await Promise.all([events[Symbol.asyncDispose](), logs[Symbol.asyncDispose]()]);
    },
  };
}

interface Parts {
  readonly settings: LiveSettings;
  readonly feeds: readonly Feed[];
  readonly engine: DockerEngine;
  readonly own: OwnContainer;
  readonly health: HealthFile | undefined;
}

async function prepare(started: Started, parts: Parts): Promise<Connection> {
  const { options, log } = started;
  const { registerCode, caCert, usesProxy, hasParent } = options;
  const file = new StateFile(options.dataDir, log);
  const stored = await file.load(registerCode);
  const given = { url: options.serverUrl, fingerprint: options.serverFingerprint };
  // A move is over for whoever has the agent registered anew.
  const address = chooseHub(given, isNewCode(registerCode, stored) ? withoutMove(stored) : stored);
  const state = new KeptState(file, stored);
  const links: Links = {
    address,
    given,
    transport: new HubTransport({ caCert, usesProxy }),
    ceiling: new Ceiling(options.access, state, log),
    credentials: new Credentials({ state, registerCode, log }),
    settings: parts.settings,
    sampler: new MetricsSampler(parts.engine, { containers: parts.engine }),
  };
  const shell = shellFinder(started);
  const commands = new RunningCommands({
    dispatch: dispatcher(started, parts, links, { shell, connection: () => connection }),
    log,
  });
  const onPresence = (isConnected: boolean): void => {
    parts.health?.set(isConnected);
    // Only now, so that it does not hold up the first dial.
    if (isConnected) void shell();
  };
  const { engine, feeds } = parts;
  const rest = { engine, feeds, commands, log, onPresence, hasParent };
  const connection: Connection = new Connection({ ...links, ...rest });
  return connection;
}

type Links = Pick<
  ConnectionOptions,
  'address' | 'given' | 'transport' | 'ceiling' | 'credentials' | 'settings' | 'sampler'
>;

interface Later {
  readonly shell: () => Promise<ShellPlace>;
  /** Made after the handlers that it calls. */
  readonly connection: () => Connection;
}

function dispatcher(
  { options, log, stop }: Started,
  { engine, own }: Parts,
  { ceiling, credentials, settings, sampler, transport }: Links,
  { shell, connection }: Later,
): Dispatch {
  const { dataDir, dockerHost, hasParent } = options;
  const handlers = allHandlers({
    dataDir,
    dockerHost,
    hasParent,
    engine,
    own,
    sampler,
    settings,
    shell,
    stop,
    transport,
    get access() {
      return ceiling.access;
    },
    get hubAddress() {
      return connection().address;
    },
    rotateToken: (token) => credentials.rotate(token),
    lowerAccess: (access) => ceiling.lower(access),
    prepareMove: (target) => connection().prepareMove(target),
    onRestartFailure: (error) => {
      log.error({ err: error }, 'the engine did not restart this container');
    },
  });
  return createDispatcher({ handlers, ceiling, guard: selfProtection(engine, own), log });
}

function withoutMove(stored: AgentState | undefined): AgentState | undefined {
  return stored && { ...stored, moved_from: undefined };
}

/** Looks once. */
function shellFinder({ options, environment, log }: Started): () => Promise<ShellPlace> {
  const find = async (): Promise<ShellPlace> => {
    const { access } = options;
    const place = await findShellPlace({ isInContainer: isInContainer(), access, environment });
    log.info({ scope: place.scope }, 'where commands run');
    return place;
  };
  let place: Promise<ShellPlace> | undefined;
  return () => (place ??= find());
}
