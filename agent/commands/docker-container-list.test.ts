import { expect, it } from 'vitest';
import { containerSchema, describe as describeContainer } from './docker-container-list.ts';

function entry(reply: object) {
  const base = { Id: 'a'.repeat(64), Image: 'app', State: 'running', Status: 'Up', Created: 1 };
  return describeContainer(containerSchema.parse({ ...base, ...reply }));
}

it.each([
  ['Up 3 minutes (healthy)', 'healthy'],
  ['Up 3 minutes (unhealthy)', 'unhealthy'],
  ['Up 3 seconds (health: starting)', 'starting'],
  ['Up 3 minutes (Paused)', null],
  ['Exited (0) 2 days ago', null],
])('reads the health within %j', (Status, health) => {
  expect(entry({ Status }).health).toBe(health);
});

it.each([
  [['/web'], 'web'],
  [['/proxy/backend', '/web'], 'web'],
  [null, 'aaaaaaaaaaaa'],
])('names a container known as %j', (Names, name) => {
  expect(entry({ Names }).name).toBe(name);
});

it('tells published ports from exposed ones', () => {
  const Ports = [
    { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
    { IP: '::', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
    { PrivatePort: 53, PublicPort: 5353, Type: 'udp' },
    { PrivatePort: 443, Type: 'tcp' },
  ];
  expect(entry({ Ports }).ports).toEqual([
    { container: '80/tcp', host: '0.0.0.0:8080' },
    { container: '80/tcp', host: '[::]:8080' },
    { container: '53/udp', host: ':5353' },
    { container: '443/tcp', host: null },
  ]);
});

it('has no date for a container without one', () => {
  expect(entry({ Created: -62_135_596_800 }).created).toBeNull();
});
