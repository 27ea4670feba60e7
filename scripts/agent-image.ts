import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { VERSION } from '../protocol/version.ts';

export interface ImageBuild {
  /** A DOCKER_HOST value; the docker command's own choice unless given. */
  readonly host?: string | undefined;
  /** Base image; the Dockerfile's unless given. */
  readonly base?: string | undefined;
  /** Every name the image gets. */
  readonly tags: readonly string[];
  /** Gives the build no network. */
  readonly offline?: boolean;
  /** Takes what the builder says. */
  readonly onOutput?: (text: string) => void;
}

/** One line of an image's history, the newest first. */
export interface ImageLayer {
  readonly bytes: number;
  readonly createdBy: string;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCKERFILE = 'Dockerfile.agent';

/**
 * Builds the agent's image from Dockerfile.agent and the bundle in dist.
 * @throws Error if the docker command is not there, or if the build fails: then with the builder's
 * words, unless onOutput took them
 */
export async function buildAgentImage(build: ImageBuild): Promise<void> {
  const { host, base, tags, offline, onOutput } = build;
  const args = [
    ...hostArgs(host),
    'build',
    `--file=${DOCKERFILE}`,
    ...tags.map((tag) => `--tag=${tag}`),
    `--build-arg=VERSION=${VERSION}`,
    ...(base === undefined ? [] : [`--build-arg=NODE_IMAGE=${base}`]),
    ...(offline === true ? ['--network=none'] : []),
    '.',
  ];
  // The classic builder: it is there in every engine, and takes a base that only the engine has.
  const env = { ...process.env, DOCKER_BUILDKIT: '0' };
  const child = spawn('docker', args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      onOutput?.(text);
    });
  }
  await once(child, 'close');
  if (child.exitCode === 0) return;
  const words = onOutput === undefined ? `:\n${output}` : '';
  throw new Error(`docker build ended with status ${child.exitCode}${words}`);
}

/** The layers of an image, the newest first. */
export async function imageLayers(tag: string, host?: string): Promise<ImageLayer[]> {
  const format = ['--no-trunc', '--human=false', '--format', '{{.Size}}\t{{.CreatedBy}}'];
  const history = [...hostArgs(host), 'history', ...format, tag];
  const { stdout } = await promisify(execFile)('docker', history);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [size = '', createdBy = ''] = line.split('\t');
      return { bytes: Number(size), createdBy };
    });
}

function hostArgs(host: string | undefined): string[] {
  return host === undefined ? [] : ['-H', host];
}
