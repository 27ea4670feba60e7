import { bundleAgent } from '../../scripts/agent-bundle.ts';
import { buildAgentImage } from '../../scripts/agent-image.ts';
import { AGENT_IMAGE } from '../../src/provisioning/container-plan.ts';
import { importBaseImage } from './base-image.ts';
import { withMachineLock } from './machine-lock.ts';

/** A base of another name than the Dockerfile's, which a test may want to be absent. */
const TEST_BASE = 'tomo-test/node:24-bookworm-slim';

/**
 * Builds the agent's image of the present sources in an engine, without a network, and answers the
 * name it has there.
 */
export async function makeAgentImage(host: string, tag = AGENT_IMAGE): Promise<string> {
  await importBaseImage(host, TEST_BASE);
  await withMachineLock('agent-image', async () => {
    await bundleAgent();
    await buildAgentImage({ host, base: TEST_BASE, tags: [tag], offline: true });
  });
  return tag;
}
