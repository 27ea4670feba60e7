import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, expect, it } from 'vitest';
import { readAgentState } from '../support/agent-state.ts';
import { answering, exec, send } from '../support/commands.ts';
import { installAgent } from '../support/installed-agent.ts';
import { Started } from '../support/processes.ts';
import { connect, startServer, TEST_TOKEN } from '../support/tomo.ts';

const ROTATED = 'web-2';

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

it('whoever steals the database has no code and no token, in any spelling', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const secrets: Record<string, string> = { 'MCP token': TEST_TOKEN };
  for (const name of ['web-1', ROTATED, 'revoked']) {
    const installed = await installAgent(started, server, client, name);
    await installed.start();
    secrets[`code of ${name}`] = installed.code;
    secrets[`token of ${name}`] = readAgentState(installed.dataDir).token;
    if (name !== ROTATED) continue;
    await client.callTool('rotate_agent_token', { server_id: name });
    secrets['token after the rotation'] = readAgentState(installed.dataDir).token;
  }
  expect(secrets['token after the rotation']).not.toBe(secrets[`token of ${ROTATED}`]);
  secrets['unused code'] = (await installAgent(started, server, client, 'pending')).code;
  // Params marked as secret, and those of methods that only the hub may call.
  secrets['secret param'] = 'hunter2hunter2';
  const env = { PASSWORD: secrets['secret param'] };
  await send(client, 'web-1', 'system.exec', { command: 'true', env });
  const token = 'h'.repeat(64);
  secrets['token in a refused command'] = token;
  await send(client, 'web-1', 'agent.rotate_token', { token });
  await exec(client, 'web-1', 'echo seen');
  await client.callTool('revoke_agent', { server_id: 'revoked' });
  await answering(client, 'web-1');

  const copy = join(server.dataDir, 'tomo.db.copy');
  const database = new Sqlite(join(server.dataDir, 'tomo.db'));
  database.exec(`VACUUM INTO '${copy}'`);
  database.close();
  await server.program.stop('SIGKILL');

  const files = readdirSync(server.dataDir).filter((name) => name.startsWith('tomo.db'));
  expect(files.toSorted()).toEqual(
    expect.arrayContaining(['tomo.db', 'tomo.db-wal', 'tomo.db-shm', 'tomo.db.copy']),
  );
  const found = files.flatMap((file) => {
    const bytes = readFileSync(join(server.dataDir, file));
    return Object.entries(secrets)
      .filter(([, secret]) => spellings(secret).some((spelling) => bytes.includes(spelling)))
      .map(([name]) => `${name} in ${file}`);
  });
  expect(found).toEqual([]);
  // What is not secret is there, so that the search is known to find things.
  const all = files.map((file) => readFileSync(join(server.dataDir, file)));
  expect(all.some((bytes) => bytes.includes('echo seen'))).toBe(true);
});

function spellings(secret: string): Buffer[] {
  const plain = secret.replaceAll('-', '');
  const texts = [secret, plain, secret.toLowerCase(), plain.toLowerCase()];
  const bytes = Buffer.from(secret, 'base64url');
  texts.push(bytes.toString('hex'), bytes.toString('hex').toUpperCase(), bytes.toString('base64'));
  return [...texts.flatMap((text) => [Buffer.from(text), Buffer.from(text, 'utf16le')]), bytes];
}
