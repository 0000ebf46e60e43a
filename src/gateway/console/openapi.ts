import { z } from 'zod';
import { errorSchema } from '#wire/openai/common.ts';
import { docsPage } from '../docs-page.ts';
import { referTo } from '../openapi.ts';
import { CALLS } from './calls.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Access, type Route, route } from './route.ts';

/**
 * The OpenAPI 3.1 document of the management API: every route as it is served, with the schemas that read its body and its
 * query, who may call it, and how its errors look. It is made from the routes, so none can be missing.
 */
type Json = Record<string, unknown>;

/** The document of `routes`, and as a page. Written when it is first asked for: these two are among the routes by then. */
export function openApiRoutes(rooms: Pick<ConsoleRooms, 'facts'>, routes: readonly Route[]): Route[] {
  const open = { access: 'public', errors: 'object' } as const;
  let document: Json | undefined;
  let page: ReturnType<typeof docsPage> | undefined;
  const written = (): Json => {
    document ??= consoleDocument(rooms.facts.version, [...routes, ...BESIDE]);
    return document;
  };
  return [
    route('GET /api/v1/openapi.json', open, async () => written()),
    route('GET /api/v1/docs', open, async ({ reply }) => {
      page ??= docsPage(written());
      reply.headers(page.headers);
      return page.html;
    }),
  ];
}

/** What is served beside the routes, because its bytes or its headers are read in another way. */
const BESIDE: readonly Route[] = [
  route('GET /api/v1/health', { access: 'public', errors: 'object' }, async () => undefined),
  route('GET /api/v1/provider/status', { access: 'provider', errors: 'text' }, async () => undefined),
  route('POST /api/v1/webhooks/stripe', { access: 'public', errors: 'object' }, async () => undefined),
];

/** The same routes give the same document, byte for byte. */
function consoleDocument(version: string, routes: readonly Route[]): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const each of routes) {
    const path = each.url.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [each.method.toLowerCase()]: operation(each, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cygnet management',
      version,
      description: `${ABOUT} The API of inference has a document of its own: /openapi.json.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      securitySchemes: {
        session: { type: 'http', scheme: 'bearer', description: 'The token of a session (sess-…).' },
        cookie: {
          type: 'apiKey',
          in: 'cookie',
          name: 'cygnet_session',
          description:
            'A page has its session in a cookie; what changes something also needs X-Cygnet-Request: 1.',
        },
        consumerKey: { type: 'http', scheme: 'bearer', description: 'sk-swan-…' },
        providerKey: { type: 'http', scheme: 'bearer', description: 'sk-prov-…' },
      },
      schemas: {
        ...schemas,
        ErrorText: referTo(errorText, schemas, 'output'),
      },
    },
  };
}

const ABOUT =
  'Accounts, keys, money, providers and operators. Money is decimal text of dollars unless a field says otherwise; moments are ISO 8601 in UTC.';

/** How errors look to calls whose clients read them so. */
const errorText = z.object({ error: z.string(), code: z.string().describe('docs/errors.md lists them.') });

const SECURITY: Readonly<Record<Access, { who: string; by: readonly string[] }>> = {
  public: { who: 'Anyone.', by: [] },
  user: { who: 'Whoever is signed in; it is about that account alone.', by: ['session', 'cookie'] },
  'provider-user': { who: 'Whoever is signed in and is a provider.', by: ['session', 'cookie'] },
  operator: { who: 'Operators.', by: ['session', 'cookie'] },
  provider: { who: 'Providers, signed in or with a key.', by: ['providerKey', 'session', 'cookie'] },
  'consumer-key': { who: 'Whoever has a consumer key.', by: ['consumerKey'] },
  'anyone-known': {
    who: 'Whoever is signed in or has a key.',
    by: ['session', 'cookie', 'consumerKey', 'providerKey'],
  },
};

function operation(about: Route, schemas: Json): Json {
  const { method, url, access, errors, body, query } = about;
  const id = nameOf(about);
  const { summary, answer } = CALLS[`${method} ${url}`] ?? { summary: '' };
  const { who, by } = SECURITY[access];
  const named = (name: string, schema: z.ZodType, io: 'input' | 'output'): Json => {
    const made = referTo(schema, schemas, io);
    if (made['$ref'] !== undefined) return { schema: made };
    schemas[name] = made;
    return { schema: { $ref: `#/components/schemas/${name}` } };
  };
  const parameters = [
    ...[...url.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      description: '',
      schema: { type: 'string' },
    })),
    ...queryOf(query, schemas),
  ];
  return {
    summary,
    description: who,
    operationId: id,
    tags: [tagOf(url)],
    'x-cygnet-access': access,
    security: by.map((name) => ({ [name]: [] })),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: { required: true, content: { 'application/json': named(`${id}Request`, body, 'input') } },
    }),
    responses: {
      200: {
        description: 'The answer.',
        ...(answer && { content: { 'application/json': named(`${id}Answer`, answer, 'output') } }),
      },
      default: {
        description: 'A failure; docs/errors.md lists them.',
        content: {
          'application/json': {
            schema:
              errors === 'text'
                ? { $ref: '#/components/schemas/ErrorText' }
                : referTo(errorSchema, schemas, 'output'),
          },
        },
      },
    },
  };
}

function queryOf(query: z.ZodType | undefined, schemas: Json): Json[] {
  if (!query) return [];
  const { properties = {}, required = [] } = referTo(query, schemas, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    description: typeof schema['description'] === 'string' ? schema['description'] : '',
    schema,
  }));
}

/** `getUserMeKeysById`. */
function nameOf({ method, url }: Route): string {
  const words = url
    .replace(/^\/api\/v1\//, '')
    .replaceAll(/:(\w+)/g, 'by-$1')
    .split(/[^A-Za-z]+/);
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function tagOf(url: string): string {
  const [, , , first = ''] = url.split('/');
  return first;
}
