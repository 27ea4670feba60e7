import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.rotate_agent_token;

export const rotateAgentTokenTool = defineTool({
  name: 'rotate_agent_token',
  title: 'Give an agent a new token',
  description:
    'Replaces the token by which a connected agent proves who it is; it stays connected and its commands go on. Returns when the agent keeps the new one. The old token is good until the new one is used or grace_ends_at has come; to end a stolen token at once, use revoke_agent and install_agent instead. Rotation by age: configure_agents with token_rotation_days.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: false,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('rotate_agent_token', parsed, caller),
  }),
});
