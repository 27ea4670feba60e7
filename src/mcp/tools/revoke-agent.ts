import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.revoke_agent;

export const revokeAgentTool = defineTool({
  name: 'revoke_agent',
  title: 'Revoke an agent',
  description:
    'Takes an agent’s credentials for good: its connection closes, its running commands fail, it cannot come back. install_agent makes it anew.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('revoke_agent', parsed, caller),
  }),
});
