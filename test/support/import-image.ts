import Docker from 'dockerode';
import { dockerOptions } from '../../docker-engine/docker-address.ts';

export async function hasImage(host: string, name: string): Promise<boolean> {
  const docker = new Docker(dockerOptions(host));
  const images = await docker.listImages({ filters: { reference: [name] } });
  return images.length > 0;
}

/** Makes an image from a tar of its root file system; `changes` are lines as of a Dockerfile. */
export async function importImage(
  host: string,
  tar: string,
  name: string,
  changes: readonly string[],
): Promise<void> {
  const docker = new Docker(dockerOptions(host));
  const [repo, tag] = name.split(':');
  const progress = await docker.importImage(tar, { repo, tag, changes });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
  });
}
