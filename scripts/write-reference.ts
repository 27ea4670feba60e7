import { readFileSync, writeFileSync } from 'node:fs';
import { withReference } from './command-reference.ts';

// Writes the reference of all methods into README.md, between its two marker lines.
const README = new URL('../README.md', import.meta.url);
writeFileSync(README, withReference(readFileSync(README, 'utf8')));
