import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

const MAPPED_PREFIX = '::ffff:';

/**
 * Whom a request comes from: the socket's other end, or, if that is one of the trusted proxies, the
 * right-most address of X-Forwarded-For that is not. What stands left of that anybody can have
 * written. `trustedProxies` are addresses and networks such as 10.0.0.0/8.
 */
export function clientAddressOf(
  trustedProxies: readonly string[],
): (request: IncomingMessage) => string {
  const trusted = blockListOf(trustedProxies);
  return (request) => {
    const peer = plainAddress(request.socket.remoteAddress ?? '');
    if (peer === undefined) return 'unknown';
    const forwarded = request.headers['x-forwarded-for'];
    if (forwarded === undefined || !contains(trusted, peer)) return peer;
    return forwardedAddress(String(forwarded), peer, trusted);
  };
}

/** Stops at what is no address: the proxy that wrote it is the last one known. */
function forwardedAddress(forwarded: string, peer: string, trusted: BlockList): string {
  let known = peer;
  for (const entry of forwarded.split(',').toReversed()) {
    const address = plainAddress(withoutPort(entry.trim()));
    if (address === undefined) return known;
    known = address;
    if (!contains(trusted, address)) return known;
  }
  return known;
}

function withoutPort(entry: string): string {
  const [, address] = /^\[([^\]]*)\](?::\d+)?$/.exec(entry) ?? /^([\d.]+):\d+$/.exec(entry) ?? [];
  return address ?? entry;
}

/** One spelling of an address: IPv4 where an IPv6 one stands for it, and no zone. */
function plainAddress(text: string): string | undefined {
  const [address = ''] = text.toLowerCase().split('%', 1);
  const family = isIP(address);
  if (family === 0) return undefined;
  if (family === 4) return address;
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  return short.startsWith(MAPPED_PREFIX) ? mappedAddress(short) : short;
}

/** The IPv4 address of `::ffff:7f00:1`, as URLs write it. */
function mappedAddress(short: string): string {
  const words = short.slice(MAPPED_PREFIX.length).split(':');
  return words
    .map((word) => Number.parseInt(word, 16))
    .flatMap((word) => [word >> 8, word & 0xff])
    .join('.');
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** Knows an IPv4 address also by its IPv6 form, and the other way round. */
function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
