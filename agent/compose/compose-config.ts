import { z } from 'zod';
import { TomoError } from '../../protocol/errors.ts';
import type { Compose } from './compose-command.ts';

const CONFIG_MAX_BYTES = 2 * 1024 * 1024;
/** To read so much YAML holds up the agent for a third of a second; 2 MiB of JSON, for a tenth. */
const YAML_MAX_BYTES = 128 * 1024;
const configSchema = z.looseObject({ name: z.string().optional().catch(undefined) });

export type ComposeConfig = z.output<typeof configSchema>;

/**
 * The file as it takes effect. Only compose of the second generation says the project's `name` in it.
 * @throws TomoError as Compose.run does, RESULT_TOO_LARGE, COMPOSE_FAILED
 */
export async function readConfig(compose: Compose): Promise<ComposeConfig> {
  // The first generation has no other format than YAML.
  const format = compose.isFirst ? [] : ['--format', 'json'];
  const limit = compose.isFirst ? YAML_MAX_BYTES : CONFIG_MAX_BYTES;
  const { stdout, truncated } = await compose.run(['config', ...format], { outputMaxBytes: limit });
  if (truncated) throw tooLarge(compose, limit);
  try {
    return configSchema.parse(compose.isFirst ? await parseYaml(stdout) : JSON.parse(stdout));
  } catch (cause) {
    throw new TomoError(
      'COMPOSE_FAILED',
      'What compose config says is not what this agent knows.',
      { cause },
    );
  }
}

async function parseYaml(text: string): Promise<unknown> {
  const { parse } = await import('yaml');
  // Compose writes each key once; to look for doubles takes the square of the time.
  return parse(text, { logLevel: 'error', uniqueKeys: false });
}

function tooLarge({ isFirst, version }: Compose, limit: number): TomoError {
  const next = isFirst
    ? `Of compose ${version} no more is read: install version 2 there ("docker-compose-plugin" or "docker-compose-v2"), of which ${CONFIG_MAX_BYTES} bytes are`
    : 'Name one of its files with the param file, if it has several';
  return new TomoError(
    'RESULT_TOO_LARGE',
    `The file is longer than ${limit} bytes as it takes effect. ${next}; or read it on the server.`,
    { facts: { limit } },
  );
}

/** Its words may quote values of environments, and the text between them. */
export function withoutWords(error: unknown): unknown {
  if (!(error instanceof TomoError) || error.name !== 'COMPOSE_FAILED') return error;
  return new TomoError(
    'COMPOSE_FAILED',
    'compose refuses the file, or finds none. Its words may quote values of environments: ask again with reveal_env: true (admin access) to see them.',
    { cause: error, facts: error.facts },
  );
}
