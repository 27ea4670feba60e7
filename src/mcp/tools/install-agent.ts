import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.install_agent;

export const installAgentTool = defineTool({
  name: 'install_agent',
  title: 'Install an agent',
  description:
    'Adds a server, or gives a known one a fresh registration code. Answers at once with deploy_command (run it on that server) and compose_yaml (the same as a file); the code is good for one use within minutes. Then poll get_agent_status until it says connected. Refused while the agent is connected.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: false,
    openWorldHint: false,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('install_agent', parsed, caller),
  }),
});
