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
// glibc reads these only when a process starts, and so this one starts itself anew. Without them it keeps
// most of what a large message needed: one heap a thread, and 16 MiB pieces that are not given back.
var malloc = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '131072' };
var names = Object.keys(malloc);
function isSet(name) {
  return name in process.env;
}
if (process.env.TOMO_MALLOC === 'set') {
  // For this process alone, not for what it runs.
  names.concat('TOMO_MALLOC').forEach(function (name) {
    delete process.env[name];
  });
} else if (process.platform === 'linux' && !names.some(isSet)) {
  process.execve(
    process.execPath,
    [process.execPath].concat(process.execArgv, process.argv.slice(1)),
    Object.assign({}, process.env, malloc, { TOMO_MALLOC: 'set' }),
  );
}
void import('node:v8').then(function (v8) {
  // On a machine with much memory V8 lets garbage pile up to hundreds of MiB and keeps the pages that
  // held it. A young generation that does not grow, and an old one collected when it is half as large
  // again, cost no measurable time here.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  v8.setFlagsFromString('--heap-growing-percent=50');
  return import('../src/main.ts');
});
