import { StringDecoder } from 'node:string_decoder';
import type { CommandOutput } from '../commands/handler.ts';

/** One output of many containers: whole lines, each after its container's name and a bar. */
export class NamedLines implements Pick<CommandOutput, 'progress'> {
  readonly #output: CommandOutput;
  #said = '';
  #lines = 0;
  #bytes = 0;

  constructor(output: CommandOutput) {
    this.#output = output;
  }

  get written(): { readonly lines: number; readonly bytes: number } {
    return { lines: this.#lines, bytes: this.#bytes };
  }

  /** Once what several have to say at one time. */
  progress(message: string, fraction?: number): void {
    if (message === this.#said) return;
    this.#said = message;
    this.#output.progress(message, fraction);
  }

  /** For one container, which writes lines, or pieces of very long ones: each piece becomes a line. */
  of(name: string): CommandOutput {
    const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
    return {
      write: async (stream, data) => {
        const lines = decoders[stream].write(data).split('\n');
        if (lines.at(-1) === '') lines.pop();
        const named = lines.map((line) => `${name} | ${line.replace(/\r$/, '')}\n`);
        const bytes = Buffer.from(named.join(''));
        this.#lines += named.length;
        this.#bytes += bytes.length;
        await this.#output.write(stream, bytes);
      },
      progress: (message, fraction) => {
        this.progress(message, fraction);
      },
    };
  }
}
