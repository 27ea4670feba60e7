import { z } from 'zod';
import { accessSchema } from '../../../protocol/access.ts';
import {
  CATALOGUE,
  familyOf,
  type Method,
  methodNames,
} from '../../../protocol/commands/catalogue.ts';
import { TomoError } from '../../../protocol/errors.ts';
import { serverIdSchema } from '../../fleet/schema-fields.ts';
import { defineTool } from '../define-tool.ts';

const commandSchema = z.object({
  method: z.string(),
  summary: z.string(),
  access: accessSchema,
  destructive: z.boolean(),
  timeout_seconds: z.number(),
  params: z.record(z.string(), z.unknown()).describe('JSON Schema.'),
  available: z.boolean().optional().describe('Whether this server’s agent has it.'),
});

export const listAgentCommandsTool = defineTool({
  name: 'list_agent_commands',
  title: 'List the commands of agents',
  description:
    'The methods that send_agent_command takes: what each does, its params as JSON Schema, the access it needs. family narrows it ("system", "docker.containers", "docker"); server_id tells which of them that server’s agent has.',
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input: z.strictObject({
    server_id: serverIdSchema.optional(),
    family: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('The part of the name before its last dot.'),
  }),
  output: z.object({ commands: z.array(commandSchema) }),
  run: async ({ server_id, family }, { fleet, caller }) => {
    const methods = methodsOf(family);
    if (server_id === undefined) return { structured: { commands: methods.map(describe) } };
    const { capabilities } = await fleet.perform('get_agent_status', { server_id }, caller);
    return {
      structured: {
        commands: methods.map((method) => ({
          ...describe(method),
          // An agent that does not say what it has is asked and answers for itself.
          available: capabilities?.includes(method) ?? true,
        })),
      },
    };
  },
});

function methodsOf(family: string | undefined): readonly Method[] {
  if (family === undefined) return methodNames();
  const methods = methodNames().filter((method) => method.startsWith(`${family}.`));
  if (methods.length > 0) return methods;
  const families = [...new Set(methodNames().map(familyOf))].sort();
  throw new TomoError(
    'INVALID_PARAMS',
    `No family "${family}". Families: ${families.join(', ')}.`,
    { facts: { family } },
  );
}

const DESCRIPTIONS = new Map<Method, z.input<typeof commandSchema>>();

function describe(method: Method): z.input<typeof commandSchema> {
  const known = DESCRIPTIONS.get(method);
  if (known !== undefined) return known;
  const { summary, access, destructive, timeoutMs, params } = CATALOGUE[method];
  const { $schema: _dialect, ...schema } = z.toJSONSchema(params, { io: 'input' });
  const description = {
    method,
    summary,
    access,
    destructive,
    timeout_seconds: timeoutMs / 1_000,
    params: schema,
  };
  DESCRIPTIONS.set(method, description);
  return description;
}
