import { rename, rm, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import { VERSION } from '../protocol/version.ts';

/** Largest bundle that may be shipped: 1.5 MiB. */
export const BUNDLE_MAX_BYTES = 1.5 * 1024 * 1024;

export interface AgentBundle {
  readonly file: string;
  readonly bytes: number;
}

const ENTRY = fileURLToPath(new URL('../agent/main.ts', import.meta.url));
const MANIFEST = fileURLToPath(new URL('../package.json', import.meta.url));
const FILE = fileURLToPath(new URL('../dist/agent.mjs', import.meta.url));

// What dockerode loads for SSH and for BuildKit's sessions, neither of which the agent uses; with
// ssh2 go the only native add-ons.
const LEFT_OUT = new Set(['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs']);

const leaveOut: Plugin = {
  name: 'leave-out',
  resolveId: (id) => (LEFT_OUT.has(id) ? '\0left-out' : null),
  load: (id) => (id === '\0left-out' ? 'module.exports = {};' : null),
};

/** Of package.json the agent needs nothing but the version. */
const keepVersion: Plugin = {
  name: 'keep-version',
  load: (id) =>
    id === MANIFEST
      ? { code: `export default ${JSON.stringify({ version: VERSION })};`, moduleType: 'js' }
      : null,
};

/**
 * Bundles the agent into one file that needs Node alone.
 * @throws Error if the bundler has a warning, such as an import it cannot find, or if the bundle is larger than BUNDLE_MAX_BYTES
 */
export async function bundleAgent(file = FILE): Promise<AgentBundle> {
  const build = await rolldown({
    input: ENTRY,
    platform: 'node',
    plugins: [leaveOut, keepVersion],
    onLog: (level, log) => {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  // Renamed when it is whole: others may be reading the one before.
  const partial = `${file}.${process.pid}`;
  try {
    await build.write({ file: partial, format: 'esm', codeSplitting: false });
  } finally {
    await build.close();
  }
  const { size: bytes } = await stat(partial);
  if (bytes > BUNDLE_MAX_BYTES) {
    await rm(partial);
    throw new Error(`the bundle has ${bytes} bytes; at most ${BUNDLE_MAX_BYTES} are allowed`);
  }
  await rename(partial, file);
  return { file, bytes };
}
