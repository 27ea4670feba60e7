import { bundleAgent } from './agent-bundle.ts';

// Bundles the agent into dist/agent.mjs, which runs with Node alone.
const { file, bytes } = await bundleAgent();
process.stdout.write(`${file}: ${bytes} bytes (${(bytes / 2 ** 20).toFixed(2)} MiB)\n`);
