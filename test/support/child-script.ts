import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

export interface ChildScript {
  child: ChildProcess;
  /** The next line that the script prints; fails when it ends without one. */
  nextLine(): Promise<string>;
  send(line: string): void;
}

/** For tests: runs the text of an ES module in another Node process, killed when the test is over. */
export function startScript(source: string, args: readonly string[]): ChildScript {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    nextLine: async () => {
      const line = await lines.next();
      if (line.done) throw new Error('The script ended before it printed another line.');
      return line.value;
    },
    send: (line) => void child.stdin.write(`${line}\n`),
  };
}
