import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ACCESS_LEVELS } from '../../protocol/access.ts';
import type { PlanRequest } from './container-plan.ts';
import { deployment } from './deployment.ts';

const REQUEST: PlanRequest = {
  serverId: 'web-1',
  publicUrl: 'https://tomo.example.org',
  code: '7K2Q-M9XW-4TND-8HJA',
  access: 'admin',
};

const STRANGE_URL = "https://tomo.example.org/it's%20$HOME/${PATH}/$(id)/a;b&c";

/** What either text asks the engine for. */
interface Container {
  image: string;
  name: string;
  restart: string;
  network: string | undefined;
  pid: string | undefined;
  capabilities: string[];
  security: string[];
  labels: Record<string, string>;
  volumes: string[];
  environment: Record<string, string>;
}

describe('the deploy command', () => {
  it('is the first deployment’s, restarting always, with what commands on the server need', () => {
    expect(fromCommand(deployment(REQUEST).deployCommand)).toEqual({
      image: 'ghcr.io/tomo/agent:latest',
      name: 'tomo-agent',
      restart: 'always',
      network: undefined,
      pid: 'host',
      capabilities: ['SYS_ADMIN', 'SYS_PTRACE'],
      security: ['apparmor=unconfined', 'label=disable'],
      labels: { 'tomo.agent': '1', 'tomo.server_id': 'web-1' },
      volumes: ['/var/run/docker.sock:/var/run/docker.sock', '/:/host:ro', 'tomo-agent-data:/data'],
      environment: {
        REGISTER_CODE: '7K2Q-M9XW-4TND-8HJA',
        SERVER_URL: 'wss://tomo.example.org/ws/agent',
      },
    });
  });

  it('asks for no rights that a lower access does not need, and names that access', () => {
    const container = fromCommand(deployment({ ...REQUEST, access: 'operate' }).deployCommand);
    expect(container).toMatchObject({ pid: undefined, capabilities: [], security: [] });
    expect(container.environment).toMatchObject({ ACCESS: 'operate' });
  });

  it('uses the host’s network, and warns, when the hub’s address is the machine’s own', () => {
    const { deployCommand, warnings } = deployment({
      ...REQUEST,
      publicUrl: 'http://127.0.0.1:8000',
    });
    expect(fromCommand(deployCommand)).toMatchObject({
      network: 'host',
      environment: { SERVER_URL: 'ws://127.0.0.1:8000/ws/agent' },
    });
    expect(warnings.some((warning) => warning.includes('--public-url'))).toBe(true);
    expect(deployment(REQUEST).warnings.some((text) => text.includes('--public-url'))).toBe(false);
  });

  it('warns of an address that others can reach without encryption', () => {
    const warningsOf = (publicUrl: string) => deployment({ ...REQUEST, publicUrl }).warnings;
    expect(warningsOf('http://tomo.example.org')).toContainEqual(
      expect.stringContaining('not encrypted'),
    );
    for (const url of [REQUEST.publicUrl, 'http://localhost:8000']) {
      expect(warningsOf(url).some((text) => text.includes('not encrypted'))).toBe(false);
    }
  });

  it('names the certificate to expect, where there is TLS, and warns of nothing then', () => {
    const fingerprint = 'ab'.repeat(32);
    const { deployCommand, warnings } = deployment({ ...REQUEST, fingerprint });
    expect(fromCommand(deployCommand).environment).toMatchObject({
      SERVER_FINGERPRINT: fingerprint,
    });
    expect(warnings).toEqual(deployment(REQUEST).warnings);
    const plain = deployment({ ...REQUEST, fingerprint, publicUrl: 'http://tomo.example.org' });
    expect(fromCommand(plain.deployCommand).environment).not.toHaveProperty('SERVER_FINGERPRINT');
  });

  it('names no certificate, and warns, where a proxy shows agents another than Tomo’s own', () => {
    const { deployCommand, warnings } = deployment({ ...REQUEST, fingerprint: null });
    expect(fromCommand(deployCommand).environment).not.toHaveProperty('SERVER_FINGERPRINT');
    const more = warnings.filter((text) => !deployment(REQUEST).warnings.includes(text));
    expect(more).toEqual([expect.stringContaining('--trusted-proxies')]);
  });

  it('survives the shell whatever the address holds', () => {
    const { deployCommand } = deployment({ ...REQUEST, publicUrl: STRANGE_URL });
    expect(fromCommand(deployCommand).environment['SERVER_URL']).toBe(
      `${new URL(STRANGE_URL).href.replace('https:', 'wss:')}/ws/agent`,
    );
  });
});

describe('the compose file', () => {
  const requests = ACCESS_LEVELS.flatMap((access) =>
    [REQUEST.publicUrl, 'http://localhost:8000', STRANGE_URL].map((publicUrl) => ({
      ...REQUEST,
      access,
      publicUrl,
      fingerprint: 'ab'.repeat(32),
    })),
  );
  it.each(requests)('asks for the same as the command: $access, $publicUrl', (request) => {
    const { deployCommand, composeYaml } = deployment(request);
    expect(fromCompose(composeYaml)).toEqual(fromCommand(deployCommand));
  });

  it('gives the volume its own name, which compose would otherwise lengthen', () => {
    expect(parseYaml(deployment(REQUEST).composeYaml)['volumes']).toEqual({
      'tomo-agent-data': { name: 'tomo-agent-data' },
    });
  });
});

/** The words as a real shell hands them to `docker`. */
function fromCommand(command: string): Container {
  const script = `docker() { for word in "$@"; do printf '%s\\0' "$word"; done; }; ${command}`;
  const words = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
  expect(words.slice(0, 2)).toEqual(['run', '-d']);
  const image = String(words.at(-1));
  const options: [string, string][] = [];
  for (let at = 2; at < words.length - 1; at += 2) {
    options.push([String(words[at]), String(words[at + 1])]);
  }
  const all = (name: string) => options.filter(([key]) => key === name).map(([, value]) => value);
  return {
    image,
    name: String(all('--name')[0]),
    restart: String(all('--restart')[0]),
    network: all('--network')[0],
    pid: all('--pid')[0],
    capabilities: all('--cap-add'),
    security: all('--security-opt'),
    labels: Object.fromEntries(all('--label').map((pair) => splitOnce(pair, '='))),
    volumes: all('-v'),
    environment: Object.fromEntries(all('-e').map((pair) => splitOnce(pair, '='))),
  };
}

function fromCompose(text: string): Container {
  const services = parseYaml(text)['services'] as Record<string, Record<string, unknown>>;
  const [service] = Object.values(services);
  return {
    image: service?.['image'] as string,
    name: service?.['container_name'] as string,
    restart: service?.['restart'] as string,
    network: service?.['network_mode'] as string | undefined,
    pid: service?.['pid'] as string | undefined,
    capabilities: (service?.['cap_add'] ?? []) as string[],
    security: (service?.['security_opt'] ?? []) as string[],
    labels: service?.['labels'] as Record<string, string>,
    volumes: service?.['volumes'] as string[],
    environment: service?.['environment'] as Record<string, string>,
  };
}

type Yaml = Record<string, unknown>;

/** Mappings, lists of scalars, bare and double-quoted scalars: what the file is made of. */
function parseYaml(text: string): Yaml {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const indentOf = (line: string | undefined) => line?.search(/\S/) ?? -1;
  const block = (indent: number): Yaml | string[] => {
    const map: Yaml = {};
    const list: string[] = [];
    while (indentOf(lines[0]) === indent) {
      const line = String(lines.shift()).trim();
      if (line.startsWith('- ')) {
        list.push(scalar(line.slice(2)));
        continue;
      }
      const [key, value] = splitOnce(line, ':');
      map[key] = value === '' ? block(indentOf(lines[0])) : scalar(value.trim());
    }
    return list.length > 0 ? list : map;
  };
  return block(0) as Yaml;
}

/** Compose replaces `$NAME` and `${NAME}`; `$$` stands for a dollar. */
function scalar(text: string): string {
  const value = text.startsWith('"') ? (JSON.parse(text) as string) : text;
  expect(value.replaceAll('$$', '')).not.toContain('$');
  return value.replaceAll('$$', () => '$');
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + 1)];
}
