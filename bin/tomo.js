#!/usr/bin/env node
// Plain old JavaScript: an old Node must be able to read this far and say what it needs.
var version = process.versions.node.split('.');
if (Number(version[0]) < 22 || (Number(version[0]) === 22 && Number(version[1]) < 18)) {
  process.stderr.write(
    'tomo needs Node.js 22.18 or newer; this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').\n',
  );
  process.exit(1);
}
void import('../src/main.ts');
