import type { CommandContext } from '../../agent/commands/handler.ts';

/** The context of a call that nobody cancels, follows or listens to. */
export function commandContext(replaced: Partial<CommandContext> = {}): CommandContext {
  return {
    signal: new AbortController().signal,
    afterAnswer: () => undefined,
    output: { write: async () => undefined, progress: () => undefined },
    ...replaced,
  };
}

/** What a handler put out, besides. */
export function listeningContext() {
  const written: { stream: string; text: string }[] = [];
  const steps: { message: string; fraction: number | undefined }[] = [];
  const context = commandContext({
    output: {
      write: async (stream, data) => {
        written.push({ stream, text: data.toString() });
      },
      progress: (message, fraction) => {
        steps.push({ message, fraction });
      },
    },
  });
  return { context, written, steps };
}
