import type { z } from 'zod';

type Schema = z.core.JSONSchema._JSONSchema;
type SchemaObject = z.core.JSONSchema.JSONSchema;

/** The properties of an object's schema, as `name: type`, `name?: type` or `name: type = default`. */
export function paramTypes({ properties = {}, required = [] }: SchemaObject): string[] {
  return Object.entries(properties).map(([name, schema]) => {
    const fallback = typeof schema === 'object' ? schema.default : undefined;
    if (fallback !== undefined) return `${name}: ${typeText(schema)} = ${JSON.stringify(fallback)}`;
    return `${name}${required.includes(name) ? '' : '?'}: ${typeText(schema)}`;
  });
}

function typeText(schema: Schema): string {
  if (typeof schema === 'boolean') return 'any';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(' | ');
  if (schema.type === 'object') return objectText(schema);
  if (schema.type === 'array') return listText(schema);
  return `${String(schema.type ?? 'any')}${range(schema)}`;
}

function objectText(schema: SchemaObject): string {
  if (schema.properties !== undefined) return `{${paramTypes(schema).join(', ')}}`;
  return `{[name]: ${typeText(schema.additionalProperties ?? true)}}`;
}

function listText({ items = true }: SchemaObject): string {
  const item = [items].flat().map(typeText).join(' | ');
  return item.includes(' | ') ? `(${item})[]` : `${item}[]`;
}

/** The bounds that the schema itself sets; every integer has those of a safe one. */
function range({ minimum, maximum, exclusiveMinimum }: SchemaObject): string {
  const top = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && top !== undefined) return ` ${minimum}..${top}`;
  if (exclusiveMinimum !== undefined) return ` > ${String(exclusiveMinimum)}`;
  return minimum === undefined ? '' : ` >= ${minimum}`;
}
