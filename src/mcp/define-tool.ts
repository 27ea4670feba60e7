import type { McpServer, ServerContext, ToolAnnotations } from '@modelcontextprotocol/server';
import type { Logger } from 'pino';
import { z } from 'zod';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import type { Caller, Fleet } from '../fleet/fleet.ts';
import { callerSignal } from './caller-signal.ts';
import { progressTo } from './tool-progress.ts';
import { errorResult, successResult, type ToolImage, type ToolResult } from './tool-result.ts';

/** What a tool works with during one call. */
export interface ToolCall {
  readonly fleet: Fleet;
  readonly caller: Caller;
}

/** Who calls a tool, from where, and the most that this one may do. */
export type ToolCaller = Pick<Caller, 'actor' | 'access' | 'origin' | 'tokenHash'>;

/** What every tool of one MCP endpoint shares. */
export interface ToolDeps {
  readonly fleet: Fleet;
  /** Asked at every call: what a caller may do can change while it is connected. */
  readonly callerOf: (context: ServerContext) => ToolCaller;
  /** Whether whoever calls may still do so, asked when a connection closes; always if left out. */
  readonly isWelcome?: (context: ServerContext) => boolean;
  readonly log: Logger;
}

/** A tool's answer: an error of its own keeps its structured content. */
export interface ToolAnswer<T> {
  readonly structured: T;
  /** For the model to read; the structured content as JSON if left out. */
  readonly text?: string;
  /** To be looked at next to the text. */
  readonly image?: ToolImage;
  readonly isError?: boolean;
}

interface ToolSpec<I extends z.ZodObject, O extends z.ZodObject> {
  readonly name: string;
  readonly title: string;
  /** When to use it and what comes back, for a model. */
  readonly description: string;
  readonly annotations: Required<Omit<ToolAnnotations, 'title'>>;
  readonly input: I;
  readonly output: O;
  readonly run: (args: z.output<I>, call: ToolCall) => Promise<ToolAnswer<z.input<O>>>;
}

export interface Tool {
  readonly name: string;
  register(server: McpServer, deps: ToolDeps): void;
}

const toolErrorSchema = z.object({
  code: z.number().int(),
  name: z.string(),
  message: z.string(),
});

/** Completes a tool: arguments and results are checked, errors become results with code and next step. */
export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(
  spec: ToolSpec<I, O>,
): Tool {
  // Clients hold errors to the output schema too, so that nothing in it can be required.
  const published = spec.output.partial().extend({ error: toolErrorSchema.optional() });
  return {
    name: spec.name,
    register(server, deps) {
      server.registerTool(
        spec.name,
        {
          title: spec.title,
          description: spec.description,
          annotations: spec.annotations,
          inputSchema: uncheckedInput(spec.input),
          outputSchema: published,
        },
        (args: unknown, context: ServerContext) => runTool(spec, deps, args, context),
      );
    },
  };
}

async function runTool<I extends z.ZodObject, O extends z.ZodObject>(
  spec: ToolSpec<I, O>,
  { fleet, callerOf, isWelcome = () => true, log }: ToolDeps,
  args: unknown,
  context: ServerContext,
): Promise<ToolResult> {
  try {
    const parsed = parseArguments(spec, args);
    const progress = progressTo(context);
    const caller = {
      ...callerOf(context),
      signal: callerSignal(context, () => isWelcome(context)),
      ...(progress === undefined ? {} : { progress }),
    };
    const answer = await spec.run(parsed, { fleet, caller });
    // Keys beyond the output schema make clients fail, so only what it names goes out.
    const structured = spec.output.parse(answer.structured);
    return successResult(structured, answer);
  } catch (cause) {
    const error = toTomoError(cause);
    if (!(cause instanceof TomoError)) log.error({ err: cause, tool: spec.name }, 'tool failed');
    return errorResult(error);
  }
}

function parseArguments<I extends z.ZodObject, O extends z.ZodObject>(
  spec: ToolSpec<I, O>,
  args: unknown,
): z.output<I> {
  const parsed = spec.input.safeParse(args ?? {});
  if (parsed.success) return parsed.data;
  const known = Object.keys(spec.input.shape).join(', ') || 'none';
  throw new TomoError(
    'INVALID_PARAMS',
    `Arguments of ${spec.name} are not valid:\n${z.prettifyError(parsed.error)}\nIts arguments are: ${known}.`,
  );
}

/** The input schema as published, without the SDK's own check, whose errors carry no code. */
function uncheckedInput(input: z.ZodObject): UncheckedSchema {
  const standard = input['~standard'];
  return {
    '~standard': {
      version: 1,
      vendor: standard.vendor,
      validate: (value) => ({ value }),
      jsonSchema: standard.jsonSchema,
    },
  };
}

interface UncheckedSchema {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => { readonly value: unknown };
    readonly jsonSchema: z.ZodObject['~standard']['jsonSchema'];
  };
}
