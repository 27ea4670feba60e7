/** The list of all agents. */
export const AGENTS_URI = 'tomo://agents';
/** One agent: what a template's variable stands for is a server's id. */
export const AGENT_TEMPLATE = 'tomo://agents/{server_id}';

export function agentUri(serverId: string): string {
  return `${AGENTS_URI}/${serverId}`;
}

/** Whether there can be a resource of that name; the longest server id has 63 characters. */
export function isAgentUri(uri: string): boolean {
  return uri === AGENTS_URI || /^tomo:\/\/agents\/[a-z0-9][a-z0-9._-]{0,62}$/.test(uri);
}
