/**
 * Preloaded into a program (`--import`): its wall clock is CLOCK_SHIFT_MS ahead from the start, and
 * jumps by CLOCK_JUMP_MS at every SIGUSR2. Monotonic clocks and timers are left alone, as by a real
 * change of the clock.
 */
const RealDate = Date;
const number = (name: string): number => Number(process.env[name] ?? 0);
let shiftMs = number('CLOCK_SHIFT_MS');
process.on('SIGUSR2', () => {
  shiftMs += number('CLOCK_JUMP_MS');
  process.stderr.write(`the clock jumped to ${new Date().toISOString()}\n`);
});

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[]) =>
    Reflect.construct(target, args.length === 0 ? [target.now() + shiftMs] : args) as Date,
  apply: () => new Date().toString(),
  get: (target, name, receiver) =>
    name === 'now'
      ? () => target.now() + shiftMs
      : (Reflect.get(target, name, receiver) as unknown),
});
