import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  /** -1 if a signal ended the program. */
  readonly exitCode: number;
}

const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;

/** Runs a program and answers what it wrote; throws if it fails. */
export async function runProgram(file: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { maxBuffer: OUTPUT_MAX_BYTES });
  return stdout;
}

/** Runs a program to its end, whatever its exit code; throws if it cannot be started. */
export async function programOutput(file: string, args: readonly string[]): Promise<Output> {
  return await new Promise((resolve, reject) => {
    execFile(file, args, { maxBuffer: OUTPUT_MAX_BYTES }, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr, exitCode: 0 });
      else if (typeof error.code === 'string') reject(error);
      else resolve({ stdout, stderr, exitCode: error.code ?? -1 });
    });
  });
}
