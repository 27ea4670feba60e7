import { expect, it } from 'vitest';
import { startFleet } from '../../test/support/fleet.ts';

it('tells a new agent which certificate to expect, if no CA vouches for it', async () => {
  const fingerprint = 'cd'.repeat(32);
  const args = { server_id: 'web-1' };
  const pinned = await startFleet({ publicUrl: 'https://tomo.example.org', fingerprint });
  const { deploy_command, compose_yaml } = await pinned.perform('install_agent', args);
  expect(deploy_command).toContain(`SERVER_FINGERPRINT=${fingerprint}`);
  expect(compose_yaml).toContain(`SERVER_FINGERPRINT: "${fingerprint}"`);
  const vouchedFor = await startFleet({ publicUrl: 'https://tomo.example.org' });
  const installed = await vouchedFor.perform('install_agent', args);
  expect(installed.deploy_command).not.toContain('SERVER_FINGERPRINT');
});
