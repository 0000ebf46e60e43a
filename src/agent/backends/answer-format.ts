import { z } from 'zod';

/**
 * `response_format` of a model that is run in this process: plain text, any JSON object, or JSON of a schema. What llama.cpp's
 * grammars cannot hold an answer to is refused by name: an answer that only happens to fit would be worse than none.
 */
export type AnswerFormat =
  | { readonly kind: 'json' }
  | { readonly kind: 'schema'; readonly schema: Readonly<Record<string, unknown>> };

const formatSchema = z.union([
  z.looseObject({ type: z.literal('text') }).transform(() => undefined),
  z.looseObject({ type: z.literal('json_object') }).transform((): AnswerFormat => ({ kind: 'json' })),
  z
    .looseObject({
      type: z.literal('json_schema'),
      json_schema: z.looseObject({ schema: z.record(z.string(), z.unknown()) }),
    })
    .transform(({ json_schema }): AnswerFormat => ({ kind: 'schema', schema: json_schema.schema })),
]);

/** Reads the field, or says in one sentence why it cannot be served. */
export function readAnswerFormat(value: unknown): AnswerFormat | undefined | { refusal: string } {
  if (value === undefined || value === null) return undefined;
  const parsed = formatSchema.safeParse(value);
  if (!parsed.success)
    return { refusal: 'response_format: this model answers in text, json_object or json_schema' };
  if (parsed.data?.kind !== 'schema') return parsed.data;
  const problem = problemOf(parsed.data.schema, 'schema', 0);
  return problem === undefined ? parsed.data : { refusal: `response_format: ${problem}` };
}

/** Says something, or changes nothing that an answer could break. */
const ALLOWED = new Set([
  'type',
  'properties',
  'required',
  'additionalProperties',
  'minProperties',
  'maxProperties',
  'items',
  'prefixItems',
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'enum',
  'const',
  'oneOf',
  'anyOf',
  '$ref',
  '$defs',
  'title',
  'description',
  'default',
  'examples',
  '$schema',
  '$id',
  '$comment',
]);
const TYPES = new Set(['string', 'number', 'integer', 'boolean', 'null', 'object', 'array']);
const DEPTH_MAX = 32;

/** What a grammar could not hold an answer to, in a schema or its parts. */
function problemOf(schema: unknown, at: string, depth: number): string | undefined {
  if (typeof schema === 'boolean') return undefined;
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return `${at} is no schema`;
  if (depth > DEPTH_MAX) return `${at} is nested too deep`;
  const parts = schema as Record<string, unknown>;
  const unknown = Object.keys(parts).find((key) => !ALLOWED.has(key));
  if (unknown !== undefined) return `${at}: this model cannot be held to "${unknown}"`;
  const types = [parts['type'] ?? []].flat();
  if (types.some((type) => typeof type !== 'string' || !TYPES.has(type))) return `${at}: its type is unknown`;
  const says = ['type', 'enum', 'const', 'oneOf', 'anyOf', '$ref'].some((key) => parts[key] !== undefined);
  if (!says) return `${at} does not say what it is`;
  const inner: [string, unknown][] = [
    ...['properties', '$defs'].flatMap((key) =>
      Object.entries(parts[key] ?? {}).map(([name, each]): [string, unknown] => [name, each]),
    ),
    ...['items', 'additionalProperties']
      .filter((key) => parts[key] !== undefined)
      .map((key): [string, unknown] => [key, parts[key]]),
    ...['oneOf', 'anyOf', 'prefixItems'].flatMap((key) =>
      [parts[key] ?? []].flat().map((each, index): [string, unknown] => [`${key}[${index}]`, each]),
    ),
  ];
  for (const [name, each] of inner) {
    const problem = problemOf(each, `${at}.${name}`, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The same schema in the words of the library: it knows `oneOf`, and takes every listed property for required. */
export function schemaForGrammar(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const read = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(read);
    if (typeof value !== 'object' || value === null) return value;
    return schemaForGrammar(value as Record<string, unknown>);
  };
  const {
    anyOf,
    required: _required,
    title: _title,
    default: _default,
    examples: _examples,
    ...rest
  } = schema;
  const told = Object.fromEntries(
    Object.entries(rest)
      .filter(([key]) => !['$schema', '$id', '$comment'].includes(key))
      .map(([key, value]) => {
        if (key === 'properties' || key === '$defs') {
          const named = Object.entries(value as object).map(([name, each]) => [name, read(each)]);
          return [key, Object.fromEntries(named)];
        }
        return [key, key === 'enum' || key === 'const' ? value : read(value)];
      }),
  );
  return anyOf === undefined ? told : { ...told, oneOf: read(anyOf) };
}
