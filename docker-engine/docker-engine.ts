import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { z } from 'zod';
import { dockerOptions } from './docker-address.ts';
import { type Subject, toDockerError } from './docker-errors.ts';
import { readReply } from './docker-reply.ts';

/** One request of the Engine API (docs.docker.com/reference/api/engine). */
export interface EngineRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** Without version: the engine takes its own newest, so that old and new ones and Podman serve. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  /** A tar archive as the body, for a build. */
  readonly tar?: Readable;
  /** What the request is about, for the error's words; the engine itself unless given. */
  readonly subject?: Subject;
  readonly signal?: AbortSignal | undefined;
}

/** The Docker engine of this server. Loads its library and connects on first use, never before. */
export class DockerEngine {
  readonly #dockerHost: string | undefined;
  #client: Dockerode | undefined;

  /** @param dockerHost a DOCKER_HOST value; undefined is /var/run/docker.sock. */
  constructor(dockerHost: string | undefined) {
    this.#dockerHost = dockerHost;
  }

  /**
   * The parsed JSON of an answer, null for an empty one, text for what is not JSON. A 304 ("already
   * so") is a success.
   * @throws TomoError DOCKER_UNAVAILABLE, DOCKER_NOT_PERMITTED, NOT_FOUND, IMAGE_NOT_FOUND, CONFLICT,
   * DOCKER_REFUSED, COMMAND_CANCELLED, COMMAND_TIMED_OUT
   */
  async request(request: EngineRequest): Promise<unknown> {
    const reply = await this.#dial(request, false);
    if (!Buffer.isBuffer(reply)) return reply;
    // The library hands over as bytes what is empty, not JSON, or the JSON null.
    const text = reply.toString();
    return text === '' || text.trim() === 'null' ? null : text;
  }

  /** Hands an answer's bytes to `read` while they arrive; the connection ends when `read` does. */
  async stream<T>(request: EngineRequest, read: (bytes: Readable) => Promise<T>): Promise<T> {
    const bytes = z.instanceof(Readable).parse(await this.#dial(request, true));
    try {
      return await read(bytes);
    } catch (error) {
      throw toDockerError(error, subjectOf(request), request.signal);
    } finally {
      bytes.destroy();
    }
  }

  async version(signal?: AbortSignal): Promise<{ version: string; api_version: string }> {
    const reply = readReply(versionSchema, await this.request({ path: '/version', signal }));
    return { version: reply.Version, api_version: reply.ApiVersion };
  }

  /** Containers: `stopped` is every one that does not run. */
  async counts(signal?: AbortSignal): Promise<{ running: number; stopped: number }> {
    const reply = readReply(infoSchema, await this.request({ path: '/info', signal }));
    return {
      running: reply.ContainersRunning,
      stopped: reply.Containers - reply.ContainersRunning,
    };
  }

  /** The engine's own id; copied with a cloned machine. Empty for Podman, which makes one per answer. */
  async id(signal?: AbortSignal): Promise<string> {
    const reply = readReply(infoSchema, await this.request({ path: '/info', signal }));
    return reply.BuildahVersion === undefined ? reply.ID : '';
  }

  async #dial(request: EngineRequest, isStream: boolean): Promise<unknown> {
    const { method = 'GET', path, query = {}, body = {}, tar, signal } = request;
    try {
      signal?.throwIfAborted();
      const { modem } = await this.#connect();
      return await new Promise<unknown>((resolve, reject) => {
        const options = {
          method,
          // The "?" tells the library to add the query.
          path: Object.keys(query).length > 0 ? `${path}?` : path,
          // Apart, or the library sends the body, environment included, in the address too.
          options: { _query: query, _body: body },
          isStream,
          ...(tar === undefined ? {} : { file: tar }),
          statusCodes: { 200: true, 201: true, 204: true, 304: true },
        };
        modem.dial(signal ? { ...options, abortSignal: signal } : options, (error, reply) =>
          error ? reject(error) : resolve(reply),
        );
      });
    } catch (error) {
      throw toDockerError(error, subjectOf(request), signal);
    }
  }

  async #connect(): Promise<Dockerode> {
    if (this.#client === undefined) {
      const options = dockerOptions(this.#dockerHost);
      const { default: Docker } = await import('dockerode');
      this.#client = new Docker(options);
    }
    return this.#client;
  }
}

function subjectOf(request: EngineRequest): Subject {
  return request.subject ?? { kind: 'engine' };
}

const versionSchema = z.object({ Version: z.string(), ApiVersion: z.string() });
const infoSchema = z.object({
  ID: z.string(),
  Containers: z.number(),
  ContainersRunning: z.number(),
  /** In Podman's answers only. */
  BuildahVersion: z.unknown().optional(),
});
