/** Becomes another program, which keeps this process's id: `node become.ts PROGRAM ARG...`. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const [name = '', ...args] = process.argv.slice(2);
const folders = (process.env['PATH'] ?? '').split(':');
const file = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
if (file === undefined) throw new Error(`${name} is not on the PATH`);
process.execve?.(file, [name, ...args], process.env);
