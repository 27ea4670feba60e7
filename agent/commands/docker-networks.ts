import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { listOf, readReply, shortId } from '../../docker-engine/docker-reply.ts';
import type { Handlers } from './handler.ts';

type NetworkMethod = Extract<keyof Handlers, `docker.networks.${string}`>;

/** Everything that is done with networks. */
export function dockerNetworkHandlers(docker: DockerEngine): Pick<Handlers, NetworkMethod> {
  const post = (name: string, path: string, body: object, signal: AbortSignal) =>
    docker.request({ method: 'POST', path, body, subject: { kind: 'network', name }, signal });
  return {
    'docker.networks.list': async (_params, { signal }) => {
      const reply = await docker.request({ path: '/networks', signal });
      return readReply(listOf(networkSchema), reply).map(describe);
    },
    'docker.networks.create': async ({ name, driver }, { signal }) => {
      // Without CheckDuplicate engines before API 1.44 make a second network of the same name.
      const body = { Name: name, Driver: driver, CheckDuplicate: true };
      const reply = await post(name, '/networks/create', body, signal);
      const { Id, Warning } = readReply(createdSchema, reply);
      return { status: 'created', name, id: shortId(Id), ...(Warning && { warning: Warning }) };
    },
    'docker.networks.remove': async ({ name }, { signal }) => {
      const subject = { kind: 'network', name } as const;
      await docker.request({ method: 'DELETE', path: `/networks/${name}`, subject, signal });
      return { status: 'removed' };
    },
    'docker.networks.connect': async ({ network, container, aliases }, { signal }) => {
      const body = { Container: container, EndpointConfig: { Aliases: aliases } };
      await post(network, `/networks/${network}/connect`, body, signal);
      return { status: 'connected' };
    },
    'docker.networks.disconnect': async ({ network, container, force }, { signal }) => {
      const body = { Container: container, Force: force };
      await post(network, `/networks/${network}/disconnect`, body, signal);
      return { status: 'disconnected' };
    },
    'docker.networks.prune': async (_params, { signal }) => {
      const reply = await docker.request({ method: 'POST', path: '/networks/prune', signal });
      return { deleted: readReply(prunedSchema, reply).NetworksDeleted };
    },
  };
}

const networkSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Driver: z.string(),
  Scope: z.string(),
  Internal: z.boolean().nullish(),
  IPAM: z.object({ Config: listOf(z.object({ Subnet: z.string().nullish() })) }).nullish(),
});
const createdSchema = z.object({ Id: z.string(), Warning: z.string().nullish() });
const prunedSchema = z.object({ NetworksDeleted: listOf(z.string()) });

function describe(network: z.output<typeof networkSchema>) {
  return {
    id: shortId(network.Id),
    name: network.Name,
    driver: network.Driver,
    scope: network.Scope,
    internal: network.Internal ?? false,
    subnets: (network.IPAM?.Config ?? []).flatMap(({ Subnet }) => Subnet ?? []),
  };
}
