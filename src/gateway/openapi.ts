import { z } from 'zod';
import {
  anthropicErrorSchema,
  messageAnswerSchema,
  messagesRequestSchema,
} from '#wire/anthropic/messages.ts';
import { transcriptionFieldsSchema, transcriptionSchema } from '#wire/openai/audio.ts';
import { chatCompletionSchema, chatRequestSchema } from '#wire/openai/chat.ts';
import { errorSchema } from '#wire/openai/common.ts';
import { completionRequestSchema, completionSchema } from '#wire/openai/completions.ts';
import { embeddingListSchema, embeddingRequestSchema } from '#wire/openai/embeddings.ts';
import { imageListSchema, imageRequestSchema } from '#wire/openai/images.ts';
import { generationSchema, modelListSchema, modelSchema } from '#wire/openai/models.ts';
import { responseSchema, responsesRequestSchema } from '#wire/openai/responses.ts';
import { statusSchema } from '#wire/status.ts';

/**
 * The OpenAPI 3.1 document of the consumer's API, made from the schemas that validate. Each route is a row of the table
 * below; a test holds the table and the server's routes together, both ways.
 */

interface Route {
  readonly method: 'get' | 'post';
  readonly path: string;
  readonly summary: string;
  readonly tag: 'text' | 'embeddings' | 'images' | 'sound' | 'models' | 'playground' | 'service';
  /** Who may ask. */
  readonly security: 'key' | 'anthropic' | 'none';
  readonly request?: z.ZodType;
  /** A form with a file beside the fields of `request`. */
  readonly form?: boolean;
  readonly answer?: z.ZodType;
  readonly streams?: boolean;
  readonly parameters?: readonly { name: string; in: 'path' | 'query'; description: string }[];
  readonly error?: z.ZodType;
}

export const ROUTES: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/chat/completions',
    summary: 'Answer a conversation.',
    tag: 'text',
    security: 'key',
    request: chatRequestSchema,
    answer: chatCompletionSchema,
    streams: true,
  },
  {
    method: 'post',
    path: '/v1/completions',
    summary: 'Go on from a text.',
    tag: 'text',
    security: 'key',
    request: completionRequestSchema,
    answer: completionSchema,
    streams: true,
  },
  {
    method: 'post',
    path: '/v1/responses',
    summary: "Answer as OpenAI's Responses API does. Nothing is kept.",
    tag: 'text',
    security: 'key',
    request: responsesRequestSchema,
    answer: responseSchema,
    streams: true,
  },
  {
    method: 'post',
    path: '/v1/messages',
    summary: "Answer as Anthropic's Messages API does.",
    tag: 'text',
    security: 'anthropic',
    request: messagesRequestSchema,
    answer: messageAnswerSchema,
    streams: true,
    error: anthropicErrorSchema,
  },
  {
    method: 'post',
    path: '/v1/embeddings',
    summary: 'Turn texts into vectors.',
    tag: 'embeddings',
    security: 'key',
    request: embeddingRequestSchema,
    answer: embeddingListSchema,
  },
  {
    method: 'post',
    path: '/v1/images/generations',
    summary: 'Make images.',
    tag: 'images',
    security: 'key',
    request: imageRequestSchema,
    answer: imageListSchema,
  },
  {
    method: 'post',
    path: '/v1/audio/transcriptions',
    summary: 'Write down what is said in a recording.',
    tag: 'sound',
    security: 'key',
    request: transcriptionFieldsSchema,
    form: true,
    answer: transcriptionSchema,
  },
  {
    method: 'get',
    path: '/v1/models',
    summary: 'What is on sale, at what price, and who serves it now.',
    tag: 'models',
    security: 'none',
    answer: modelListSchema,
  },
  {
    method: 'get',
    path: '/v1/models/{model}',
    summary: 'One model, by id or short name. The slash of an id may stand as it is.',
    tag: 'models',
    security: 'none',
    answer: modelSchema,
    parameters: [{ name: 'model', in: 'path', description: 'An id or a short name.' }],
  },
  {
    method: 'get',
    path: '/v1/generation',
    summary: 'The facts of one request of yours.',
    tag: 'models',
    security: 'key',
    answer: generationSchema,
    parameters: [{ name: 'id', in: 'query', description: 'The id of an answer, or an x-request-id.' }],
  },
  ...['/v1/playground/chat', '/v1/playground/chat/completions'].map(
    (path): Route => ({
      method: 'post',
      path,
      summary: 'Chat without a key: five requests an hour, 100 tokens, no streaming.',
      tag: 'playground',
      security: 'none',
      request: chatRequestSchema,
      answer: chatCompletionSchema,
    }),
  ),
  {
    method: 'get',
    path: '/v1/playground/models',
    summary: 'What can be chatted with in the playground.',
    tag: 'playground',
    security: 'none',
    answer: modelListSchema,
  },
  {
    method: 'get',
    path: '/health',
    summary: 'Whether the market is well. 503 when it is not.',
    tag: 'service',
    security: 'none',
  },
  {
    method: 'get',
    path: '/metrics',
    summary: 'Figures for Prometheus. For this machine alone, or with the token for metrics.',
    tag: 'service',
    security: 'none',
  },
  {
    method: 'get',
    path: '/status',
    summary: 'How every model is and was, as a page.',
    tag: 'service',
    security: 'none',
  },
  {
    method: 'get',
    path: '/status.json',
    summary: 'How every model is and was: state, 90 days, figures of the last, incidents, maintenance.',
    tag: 'service',
    security: 'none',
    answer: statusSchema,
  },
  {
    method: 'get',
    path: '/status.atom',
    summary: 'Incidents as a feed.',
    tag: 'service',
    security: 'none',
  },
  { method: 'get', path: '/', summary: 'Leads to /docs.', tag: 'service', security: 'none' },
  { method: 'get', path: '/openapi.json', summary: 'This document.', tag: 'service', security: 'none' },
  { method: 'get', path: '/docs', summary: 'This document, to read.', tag: 'service', security: 'none' },
];

type Json = Record<string, unknown>;

/** The document. The same input gives the same document, byte for byte. */
export function openApi(version: string): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cygnet',
      version,
      description:
        'One endpoint for many providers of inference. Any client of OpenAI works with the base address /v1 and a key.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'sk-swan-…' },
        header: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
      schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

function operation(route: Route, schemas: Json): Json {
  const { request, form, answer, streams, parameters, security } = route;
  return {
    summary: route.summary,
    operationId: nameOf(route),
    tags: [route.tag],
    security: security === 'none' ? [] : security === 'key' ? [{ key: [] }] : [{ header: [] }, { key: [] }],
    ...(parameters && {
      parameters: parameters.map((each) => ({ ...each, required: true, schema: { type: 'string' } })),
    }),
    ...(request && { requestBody: { required: true, content: contentOf(request, form ?? false, schemas) } }),
    responses: {
      200: {
        description: 'The answer.',
        ...(answer && {
          content: {
            'application/json': { schema: referTo(answer, schemas, 'output') },
            ...(streams && { 'text/event-stream': { schema: { type: 'string' } } }),
            ...(form && { 'text/plain': { schema: { type: 'string' } } }),
          },
        }),
      },
      ...(security !== 'none' || request
        ? {
            default: {
              description: 'A failure; docs/errors.md lists them.',
              content: {
                'application/json': { schema: referTo(route.error ?? errorSchema, schemas, 'output') },
              },
            },
          }
        : {}),
    },
  };
}

/** `postChatCompletions`, `getModelsModel`. */
function nameOf({ method, path }: Route): string {
  const words = path
    .replace(/^\/v1\//, '')
    .split(/[^a-z]+/)
    .filter((word) => word !== '');
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function contentOf(request: z.ZodType, form: boolean, schemas: Json): Json {
  const schema = referTo(request, schemas, 'input');
  if (!form) return { 'application/json': { schema } };
  const file = {
    type: 'object',
    properties: { file: { type: 'string', format: 'binary' } },
    required: ['file'],
  };
  return { 'multipart/form-data': { schema: { allOf: [file, schema] } } };
}

/** A reference to the schema among the components, where it and all that it names are put. */
export function referTo(schema: z.ZodType, schemas: Json, io: 'input' | 'output'): Json {
  const id = schema.meta()?.id;
  const made = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  const { $schema: _schema, $defs: inner = {}, id: _id, ...own } = made;
  for (const [name, each] of Object.entries(inner as Record<string, Json>)) {
    const { id: _innerId, ...rest } = each;
    schemas[name] = moved(rest);
  }
  if (id === undefined) return moved(own) as Json;
  // A schema with a name refers to itself among its own definitions; one that is named by others only, does not.
  if (own['$ref'] === undefined) schemas[id] = moved(own);
  return { $ref: `#/components/schemas/${id}` };
}

/** The same with its references pointing to where the components are. */
function moved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(moved);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      name === '$ref' && typeof each === 'string'
        ? each.replace('#/$defs/', '#/components/schemas/')
        : moved(each),
    ]),
  );
}
