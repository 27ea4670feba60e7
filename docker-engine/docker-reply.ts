import { z } from 'zod';
import { TomoError } from '../protocol/errors.ts';

/** The fields of an engine's reply that are used; null and absent are the same to Go programs. */
export function readReply<S extends z.ZodType>(schema: S, reply: unknown): z.output<S> {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  throw new TomoError(
    'DOCKER_REFUSED',
    'The Docker engine answered in a way this agent does not know. Is it a Docker or Podman engine of API 1.41 or later?',
    { cause: parsed.error },
  );
}

/** A list, in which Go's null is an empty one. */
export function listOf<S extends z.ZodType>(item: S) {
  return z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);
}

/** A number that older engines leave out. */
export const count = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);

export const labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});

/** Seconds since 1970 as ISO text; null for Go's zero time (year 1) and for images without a date. */
export function isoTime(seconds: number): string | null {
  return seconds > 0 ? new Date(seconds * 1_000).toISOString() : null;
}

const SHORT_ID_CHARS = 12;

/** The engine's ids as the docker command shows them. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, SHORT_ID_CHARS);
}
