import { parseArgs } from 'node:util';
import { VERSION } from '../protocol/version.ts';
import { AGENT_IMAGE } from '../src/provisioning/container-plan.ts';
import { bundleAgent } from './agent-bundle.ts';
import { buildAgentImage, imageLayers } from './agent-image.ts';

// Builds the agent's bundle and image: npm run image:agent -- [--base IMAGE] [--tag TAG] [-H DOCKER_HOST]
const COMMAND_MAX_CHARS = 90;

try {
  await buildImage();
} catch (error) {
  process.stderr.write(`image:agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function buildImage(): Promise<void> {
  const options = {
    base: { type: 'string' },
    tag: { type: 'string', multiple: true },
    host: { type: 'string', short: 'H' },
  } as const;
  const { base, host, tag } = parseArgs({ options }).values;
  const tags = tag ?? [AGENT_IMAGE, AGENT_IMAGE.replace(/:latest$/, `:${VERSION}`)];

  const bundle = await bundleAgent();
  await buildAgentImage({ host, base, tags, onOutput: (text) => process.stderr.write(text) });

  const lines = (await imageLayers(tags[0] ?? AGENT_IMAGE, host)).map(
    ({ bytes, createdBy }) =>
      `${String(bytes).padStart(12)}  ${createdBy.replace(/\s+/g, ' ').slice(0, COMMAND_MAX_CHARS)}`,
  );
  process.stdout.write(`bundle: ${bundle.bytes} bytes\n${tags.join(', ')}, newest layer first:\n`);
  process.stdout.write(`       bytes  made by\n${lines.join('\n')}\n`);
}
