import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';

const { args, result } = OPERATIONS.install_agent;

export const installAgentTool = defineTool({
  name: 'install_agent',
  title: 'Install an agent',
  description:
    'Adds a server, or installs a known one anew. With deploy ({"kind":"ssh","host":"root@web-1"} or {"kind":"docker"}) it puts the agent there and returns when it is connected. Without, it answers at once with deploy_command for the user to run on that server (compose_yaml is the same as a file; the code is good for one use within minutes); then poll get_agent_status until it says connected. A connected agent is only replaced with replace: true.',
  annotations: {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: false,
    openWorldHint: true,
  },
  input: args,
  output: result,
  run: async (parsed, { fleet, caller }) => ({
    structured: await fleet.perform('install_agent', parsed, caller),
  }),
});
