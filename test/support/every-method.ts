import type { Method } from '../../protocol/commands/catalogue.ts';
import { WORKLOAD_IMAGE } from './workload-image.ts';

/** Every method of the catalogue once, in an order in which each one succeeds on an engine for tests alone. */
export const EVERY_METHOD: readonly (readonly [Method, object])[] = [
  ['agent.ping', {}],
  ['config.update', { metrics_interval: 30 }],
  ['system.info', {}],
  ['system.preflight', { hosts: ['localhost'] }],
  ['system.exec', { command: 'true' }],
  ['system.get_metrics', {}],
  ['metrics.get', {}],
  ['docker.info', {}],
  ['docker.df', {}],
  ['docker.events', {}],
  ['docker.images.list', {}],
  ['docker.images.inspect', { image: WORKLOAD_IMAGE }],
  ['docker.networks.create', { name: 'net-a' }],
  ['docker.networks.list', {}],
  ['docker.volumes.create', { name: 'vol-a' }],
  ['docker.volumes.list', {}],
  ['docker.containers.run', { image: WORKLOAD_IMAGE, name: 'box-a', command: ['sleep', '600'] }],
  ['docker.containers.list', {}],
  ['docker.containers.inspect', { container: 'box-a' }],
  ['docker.containers.logs', { container: 'box-a' }],
  ['docker.containers.stats', { container: 'box-a' }],
  ['docker.containers.top', { container: 'box-a' }],
  ['docker.containers.diff', { container: 'box-a' }],
  ['docker.containers.exec', { container: 'box-a', command: 'echo hi' }],
  ['docker.networks.connect', { network: 'net-a', container: 'box-a' }],
  ['docker.networks.disconnect', { network: 'net-a', container: 'box-a' }],
  ['docker.containers.pause', { container: 'box-a' }],
  ['docker.containers.unpause', { container: 'box-a' }],
  ['docker.containers.rename', { container: 'box-a', name: 'box-b' }],
  ['docker.containers.restart', { container: 'box-b', timeout: 1 }],
  ['docker.containers.kill', { container: 'box-b' }],
  ['docker.containers.start', { container: 'box-b' }],
  ['docker.containers.stop', { container: 'box-b', timeout: 1 }],
  ['docker.containers.remove', { container: 'box-b' }],
  ['docker.volumes.remove', { name: 'vol-a' }],
  ['docker.volumes.prune', {}],
  ['docker.networks.remove', { name: 'net-a' }],
  ['docker.networks.prune', {}],
  ['docker.images.prune', {}],
  ['docker.images.remove', { image: WORKLOAD_IMAGE }],
];

/** What cannot succeed or be repeated there: a registry is needed, or it is about the agent itself. */
export const METHODS_APART: readonly Method[] = [
  'docker.images.pull',
  'agent.restart',
  'agent.rotate_token',
  'agent.uninstall',
];
