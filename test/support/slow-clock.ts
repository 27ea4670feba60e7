import { onTestFinished, vi } from 'vitest';

/** For tests: lets each step of a long work take as long as its transaction may. */
export function slowClock(): void {
  let now = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
    now += 15;
    return now;
  });
  onTestFinished(() => clock.mockRestore());
}
