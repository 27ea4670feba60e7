const AGENT_PATH = 'ws/agent';

/** The agents' WebSocket URL of an http or https base URL; a path of the base is kept. */
export function hubWebSocketUrl(publicUrl: string): string {
  const url = new URL(publicUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${AGENT_PATH}`;
  return url.href;
}

/** Whether a URL names the machine itself, which nobody else can reach. */
export function isLoopback(publicUrl: string): boolean {
  const { hostname } = new URL(publicUrl);
  return /^(?:(?:.+\.)?localhost|\[::1\]|127(?:\.\d+){3})$/.test(hostname);
}
