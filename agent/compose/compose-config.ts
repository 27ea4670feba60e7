import { z } from 'zod';
import { TomoError } from '../../protocol/errors.ts';
import type { Compose } from './compose-command.ts';

const CONFIG_MAX_BYTES = 2 * 1024 * 1024;
const configSchema = z.looseObject({ name: z.string().optional().catch(undefined) });

export type ComposeConfig = z.output<typeof configSchema>;

/**
 * The file as it takes effect. Only compose of the second generation says the project's `name` in it.
 * @throws TomoError as Compose.run does, RESULT_TOO_LARGE, COMPOSE_FAILED
 */
export async function readConfig(compose: Compose): Promise<ComposeConfig> {
  const { stdout, truncated } = await compose.run(['config'], { outputMaxBytes: CONFIG_MAX_BYTES });
  if (truncated) {
    const limit = CONFIG_MAX_BYTES;
    throw new TomoError(
      'RESULT_TOO_LARGE',
      `The file is longer than ${limit} bytes as it takes effect.`,
      {
        facts: { limit },
      },
    );
  }
  try {
    // The first generation has no other format.
    const { parse } = await import('yaml');
    return configSchema.parse(parse(stdout, { logLevel: 'error' }));
  } catch (cause) {
    throw new TomoError(
      'COMPOSE_FAILED',
      'What compose config says is not what this agent knows.',
      {
        cause,
      },
    );
  }
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
