import { describe, expect, it } from 'vitest';
import { agentConfigSchema, helloSchema, welcomeSchema } from './handshake.ts';

describe('a hello', () => {
  it('is complete with what the first deployment sends', () => {
    expect(helloSchema.parse({ type: 'register', code: 'A1B2C3', version: '1.0.0' })).toEqual({
      type: 'register',
      code: 'A1B2C3',
      version: '1.0.0',
    });
    expect(helloSchema.parse({ type: 'authenticate', token: 't' })).toMatchObject({
      version: 'unknown',
    });
  });

  it.each([
    ['an endless code', { type: 'register', code: 'x'.repeat(129) }],
    ['an endless token', { type: 'authenticate', token: 'x'.repeat(257) }],
    ['an endless version', { type: 'authenticate', token: 't', version: 'x'.repeat(65) }],
    ['an endless host name', { type: 'authenticate', token: 't', host: { os: 'x'.repeat(256) } }],
    [
      'too many capabilities',
      { type: 'authenticate', token: 't', capabilities: Array(1_001).fill('a') },
    ],
    ['an access of its own', { type: 'authenticate', token: 't', access: 'root' }],
    ['a protocol of no revision', { type: 'authenticate', token: 't', protocol: 0 }],
  ])('is refused with %s', (_title, hello) => {
    expect(helloSchema.safeParse(hello).success).toBe(false);
  });
});

describe('the agent’s settings', () => {
  it('have the first deployment’s defaults', () => {
    expect(agentConfigSchema.parse({})).toEqual({
      metrics_interval: 30,
      health_interval: 60,
      reconnect_timeout: 30,
    });
  });

  it.each([
    ['metrics_interval', 5, 300],
    ['health_interval', 10, 600],
    ['reconnect_timeout', 5, 120],
  ])('have its ranges: %s from %i to %i', (name, least, most) => {
    for (const value of [least, most]) {
      expect(agentConfigSchema.parse({ [name]: value })).toMatchObject({ [name]: value });
    }
    for (const value of [least - 1, most + 1, least + 0.5, String(least)]) {
      expect(agentConfigSchema.safeParse({ [name]: value }).success).toBe(false);
    }
  });
});

describe('the hub’s answer to a hello', () => {
  const config = { metrics_interval: 30, health_interval: 60, reconnect_timeout: 30 };
  it.each([
    ['registered', { type: 'registered', agent_id: 'a', token: 't', config }],
    ['authenticated', { type: 'authenticated', agent_id: 'a', config, heartbeat: 4, protocol: 1 }],
    ['refused', { error: 'no', code: 'CODE_USED' }],
    ['refused by a hub without codes', { error: 'no' }],
  ])('is read: %s', (_title, answer) => {
    expect(welcomeSchema.parse(answer)).toEqual(answer);
  });

  it('is not read as registered without a token', () => {
    const answer = { type: 'registered', agent_id: 'a', config };
    expect(welcomeSchema.safeParse(answer).success).toBe(false);
  });
});
