import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import {
  formatReference,
  type PullReference,
  parseReference,
  pullImage,
} from '../../docker-engine/docker-pull.ts';
import { count, isoTime, listOf, readReply, shortId } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import type { Handlers } from './handler.ts';

type ImageMethod = Extract<keyof Handlers, `docker.images.${string}`>;

/** Everything that is done with images. */
export function dockerImageHandlers(docker: DockerEngine): Pick<Handlers, ImageMethod> {
  return {
    'docker.images.list': async (_params, { signal }) => {
      const reply = await docker.request({ path: '/images/json', signal });
      return readReply(listOf(imageSchema), reply).map(describe);
    },
    'docker.images.inspect': async ({ image }, { signal }) => {
      const subject = { kind: 'image', name: image } as const;
      const reply = await docker.request({ path: `/images/${image}/json`, subject, signal });
      return readReply(z.looseObject({}), reply);
    },
    'docker.images.pull': async ({ image, tag }, { signal, output }) => {
      const reference = chooseTag(image, tag);
      const detail = await pullImage(docker, reference, signal, (line, fraction) => {
        output.progress(line, fraction);
      });
      return { status: 'pulled', image: formatReference(reference), detail };
    },
    'docker.images.remove': async ({ image, force }, { signal }) => {
      const reply = await docker.request({
        method: 'DELETE',
        path: `/images/${image}`,
        query: { force },
        subject: { kind: 'image', name: image },
        signal,
      });
      return { status: 'removed', deleted: readReply(listOf(z.looseObject({})), reply) };
    },
    'docker.images.prune': async ({ all = false }, { signal }) => {
      const query = all ? { filters: { dangling: ['false'] } } : {};
      const reply = await docker.request({ method: 'POST', path: '/images/prune', query, signal });
      const { ImagesDeleted, SpaceReclaimed } = readReply(prunedSchema, reply);
      return { deleted: ImagesDeleted, space_reclaimed: SpaceReclaimed };
    },
  };
}

const imageSchema = z.object({
  Id: z.string(),
  RepoTags: listOf(z.string()),
  Size: count,
  Created: count,
});

const prunedSchema = z.object({
  ImagesDeleted: listOf(z.looseObject({})),
  SpaceReclaimed: count,
});

function describe({ Id, RepoTags, Size, Created }: z.output<typeof imageSchema>) {
  return {
    id: `sha256:${shortId(Id)}`,
    tags: RepoTags.filter((tag) => tag !== '<none>:<none>'),
    size: Size,
    created: isoTime(Created),
  };
}

const DEFAULT_TAG = 'latest';

/** A tag or digest within the image's name stands; a different `tag` beside it is a contradiction. */
function chooseTag(image: string, tag: string): PullReference {
  const reference = parseReference(image, tag);
  if (reference.explicit && tag !== DEFAULT_TAG && tag !== reference.tag) {
    throw new TomoError(
      'INVALID_PARAMS',
      `The image "${image}" already says which one; leave out tag "${tag}".`,
      { facts: { image, tag } },
    );
  }
  return reference;
}
