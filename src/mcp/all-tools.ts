import type { Tool } from './define-tool.ts';
import { cancelCommandTool } from './tools/cancel-command.ts';
import { configureAgentsTool } from './tools/configure-agents.ts';
import { getAgentEventsTool } from './tools/get-agent-events.ts';
import { getAgentMetricsTool } from './tools/get-agent-metrics.ts';
import { getAgentStatusTool } from './tools/get-agent-status.ts';
import { getCommandTool } from './tools/get-command.ts';
import { getCommandHistoryTool } from './tools/get-command-history.ts';
import { installAgentTool } from './tools/install-agent.ts';
import { listAgentCommandsTool } from './tools/list-agent-commands.ts';
import { listAgentsTool } from './tools/list-agents.ts';
import { revokeAgentTool } from './tools/revoke-agent.ts';
import { rotateAgentTokenTool } from './tools/rotate-agent-token.ts';
import { runOnAgentsTool } from './tools/run-on-agents.ts';
import { searchLogsTool } from './tools/search-logs.ts';
import { sendAgentCommandTool } from './tools/send-agent-command.ts';
import { uninstallAgentTool } from './tools/uninstall-agent.ts';

/** The tools in the order of tools/list, which is fixed. */
export const ALL_TOOLS: readonly Tool[] = [
  listAgentsTool,
  getAgentStatusTool,
  listAgentCommandsTool,
  sendAgentCommandTool,
  getCommandTool,
  cancelCommandTool,
  runOnAgentsTool,
  getCommandHistoryTool,
  getAgentEventsTool,
  searchLogsTool,
  getAgentMetricsTool,
  installAgentTool,
  configureAgentsTool,
  rotateAgentTokenTool,
  revokeAgentTool,
  uninstallAgentTool,
];
