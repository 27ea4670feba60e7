import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import type { ParamsOf } from '../../protocol/commands/catalogue.ts';
import { awaitReady } from '../compose/await-ready.ts';
import {
  Compose,
  type ComposeOutput,
  type ComposeProject,
  type RunOptions,
} from '../compose/compose-command.ts';
import { readConfig, withoutWords } from '../compose/compose-config.ts';
import {
  type ComposeContainer,
  listMembers,
  requireMembers,
} from '../compose/compose-containers.ts';
import { readProjectLogs } from '../compose/compose-logs.ts';
import { listProjects } from '../compose/compose-projects.ts';
import { projectLogFollower } from '../compose/follow-project-logs.ts';
import { refuseOwnProject } from '../compose/own-project.ts';
import type { OwnContainer } from '../own-container/own-container.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import type { CommandContext, Handlers } from './handler.ts';

export interface ComposeContext {
  readonly engine: DockerEngine;
  readonly own: OwnContainer;
  /** Where the server's compose is. */
  readonly shell: () => Promise<ShellPlace>;
}

type ComposeMethod = Extract<keyof Handlers, `docker.compose.${string}`>;

const CONFIG_TIMEOUT_MS = 55_000;

/** Compose projects: those that exist by their containers' labels, the rest by the server's compose. */
export function dockerComposeHandlers(context: ComposeContext): Pick<Handlers, ComposeMethod> {
  const { engine } = context;
  const followLogs = projectLogFollower(engine);
  return {
    'docker.compose.ls': async (_params, { signal }) => await listProjects(engine, signal),
    'docker.compose.ps': async (params, { signal }) =>
      (await requireMembers(engine, params, signal)).map(({ container }) => container),
    'docker.compose.logs': async (params, call) => {
      if (params.follow) return await followLogs(params, call);
      return await readProjectLogs(engine, params, call);
    },
    'docker.compose.config': async ({ reveal_env, ...project }, { signal }) => {
      const options = { project, timeoutMs: CONFIG_TIMEOUT_MS, signal };
      const compose = await Compose.find({ ...options, place: await context.shell() });
      const config = await readConfig(compose).catch((error: unknown) => {
        throw reveal_env ? error : withoutWords(error);
      });
      return { compose_version: compose.version, config };
    },
    'docker.compose.pull': async ({ services = [], ...params }, call) => {
      const compose = await open(context, params, call);
      const output = await compose.run(['pull', ...services], live(call));
      return { status: 'pulled', ...told(compose, [output]) };
    },
    'docker.compose.up': async (params, call) => await up(context, params, call),
    'docker.compose.down': async (params, call) => {
      const compose = await open(context, params, call);
      await refuseOwnProject(
        'docker.compose.down',
        context.own,
        compose,
        params.project,
        call.signal,
      );
      const { volumes, remove_orphans } = params;
      const flags = [...flag('--volumes', volumes), ...flag('--remove-orphans', remove_orphans)];
      const output = await compose.run(['down', ...flags], live(call));
      return { status: 'down', ...told(compose, [output]) };
    },
  };
}

/** An engine that does not answer is told of in its own words, before compose tries. */
async function open(
  { engine, shell }: ComposeContext,
  project: ComposeProject & { readonly timeout: number },
  { signal }: CommandContext,
): Promise<Compose> {
  await engine.version(signal);
  const place = await shell();
  return await Compose.find({ place, project, timeoutMs: project.timeout * 1_000, signal });
}

async function up(
  context: ComposeContext,
  params: ParamsOf<'docker.compose.up'>,
  call: CommandContext,
) {
  const { services = [], build, pull, wait, remove_orphans } = params;
  const compose = await open(context, params, call);
  await refuseOwnProject('docker.compose.up', context.own, compose, params.project, call.signal);
  // Apart: the first generation has no flag for it.
  const pulled = pull ? [await compose.run(['pull', ...services], live(call))] : [];
  const flags = [...flag('--build', build), ...flag('--remove-orphans', remove_orphans)];
  const started = await compose.run(['up', '--detach', ...flags, ...services], live(call));

  const list = await lister(context, params, compose, call.signal);
  const containers = wait
    ? await awaitReady({
        list,
        leftMs: () => compose.leftMs,
        progress: (message, fraction) => call.output.progress(message, fraction),
        signal: call.signal,
      })
    : await list();
  return { status: 'up', ...told(compose, [...pulled, started]), containers: [...containers] };
}

/** Lists the project's containers; compose says which project that is by naming one of them. */
async function lister(
  { engine }: ComposeContext,
  { services }: ParamsOf<'docker.compose.up'>,
  compose: Compose,
  signal: AbortSignal,
): Promise<() => Promise<readonly ComposeContainer[]>> {
  const all = compose.isFirst ? [] : ['--all'];
  const { stdout } = await compose.run(['ps', ...all, '--quiet', ...(services ?? [])]);
  const [id] = stdout.split('\n').filter((line) => line !== '');
  const everyone = id === undefined ? [] : await listMembers(engine, {}, signal);
  const project = everyone.find(({ container }) => id?.startsWith(container.id))?.project;
  if (project === undefined) return async () => [];
  return async () =>
    (await listMembers(engine, { project, services }, signal)).map(({ container }) => container);
}

/** What compose says goes to the caller while it works. */
function live({ output }: CommandContext): RunOptions {
  return { onOutput: (stream, piece) => void output.write(stream, piece) };
}

function flag(name: string, isSet: boolean): string[] {
  return isSet ? [name] : [];
}

/** Compose speaks of its progress on stderr. */
function told({ version }: Compose, outputs: readonly ComposeOutput[]) {
  return {
    compose_version: version,
    output: outputs.map(({ stdout, stderr }) => stderr + stdout).join(''),
    truncated: outputs.some(({ truncated }) => truncated),
  };
}
