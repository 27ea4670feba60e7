import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.uninstall_agent;

export const uninstallAgentTool = defineTool({
  name: 'uninstall_agent',
  title: 'Uninstall an agent',
  description:
    'Removes a server’s agent: a connected one takes its own container and data volume away, then its credentials are void for good. Always revokes, also when the agent is away; left_behind then says what is still on the server and the commands that remove it: show them to the user. forget: true also removes the server from Tomo (the audit stays). To only lock an agent out, use revoke_agent.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: true,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('uninstall_agent', parsed, caller),
  }),
});
