/** Host and port of `user@host[:port]`; an IPv6 address stands in brackets. */
export function sshAddress(target: string): { destination: string; port: string | undefined } {
  const match =
    /^(?<user>[^@]+@)?(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(
      target,
    )?.groups;
  const host = match?.['v6'] ?? match?.['name'];
  if (host === undefined) return { destination: target, port: undefined };
  return { destination: `${match?.['user'] ?? ''}${host}`, port: match?.['port'] };
}

/** The target as a person types it for ssh, whose own form has the port as a flag. */
export function sshWords(target: string): string {
  const { destination, port } = sshAddress(target);
  return port === undefined ? destination : `-p ${port} ${destination}`;
}
