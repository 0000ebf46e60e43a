import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Model } from '#domain/model.ts';
import { LISTEN_BACKLOG } from '#kit/backlog.ts';
import { Fault } from '#kit/fault.ts';
import type { TlsFiles } from '#kit/tls-files.ts';
import { errorBody, errorRow } from '#wire/errors.ts';
import type { StatusBody } from '#wire/status.ts';
import { BodiesInHand } from './bodies-in-hand.ts';
import type { BodyPool } from './body-pool.ts';
import { openConsole } from './console/console.ts';
import type { ConsoleRooms } from './console/rooms.ts';
import { type Dashboard, wantsPage } from './dashboard.ts';
import type { DebugLog } from './debug-log.ts';
import { docsPage } from './docs-page.ts';
import { chat } from './endpoints/chat.ts';
import { completions } from './endpoints/completions.ts';
import { embeddings } from './endpoints/embeddings.ts';
import { images } from './endpoints/images.ts';
import { transcriptions } from './endpoints/transcriptions.ts';
import { type GenerationRooms, generation } from './generation.ts';
import { ReplyWriter } from './http-reply.ts';
import { consumerKey, type InferenceRooms } from './inference.ts';
import type { LoopGuard } from './loop-guard.ts';
import { type MetricsRooms, mayReadMetrics } from './metrics-access.ts';
import { modelBody } from './model-body.ts';
import { openApi } from './openapi.ts';
import { formRoute, type Handler, jsonRoute, type RouteParts } from './paid-route.ts';
import { PLAYGROUND_BODY_BYTES_MAX, Playground, type PlaygroundSettings } from './playground.ts';
import { STATUS_PAGE_HEADERS, statusFeed, statusPage } from './status-page.ts';
import { messages } from './translate/chat-to-messages.ts';
import { responses } from './translate/chat-to-responses.ts';

/**
 * The map: every route of the gateway on one page. What is paid for is answered straight from node:http
 * (`paid-route.ts`); everything else, where a microsecond is nothing, by Fastify.
 */
export async function openGateway(
  rooms: GatewayRooms,
  address: {
    host: string;
    port: number;
    headTimeoutMs: number;
    bodyTimeoutMs: number;
    /** Undefined: plain, for a proxy in front that does TLS, or for one machine. */
    tls?: TlsFiles | undefined;
  },
): Promise<Gateway> {
  let leaving = false;
  let closing = false;
  const writer = new ReplyWriter(rooms.inference.clock);
  const parts: RouteParts = {
    rooms: rooms.inference,
    bodyBytesMax: rooms.bodyBytesMax,
    inHand: new BodiesInHand(rooms.bodiesBytesMax),
    writer,
    closing: () => closing,
    loops: rooms.loops,
    debug: rooms.debug,
    addresses: rooms.console.addresses,
  };
  const { bodies } = rooms;
  const answerChat = jsonRoute(parts, { endpoint: chat, read: (bytes) => bodies.read('chat', bytes) });
  const playground = new Playground({
    settings: rooms.playground,
    addresses: parts.addresses,
    clock: rooms.inference.clock,
  });
  const answerPlayground = jsonRoute(
    { ...parts, bodyBytesMax: PLAYGROUND_BODY_BYTES_MAX },
    {
      endpoint: chat,
      read: async (bytes) => playground.limit(await bodies.read('chat', bytes)),
      whose: (request) => playground.whose(request),
    },
  );
  const paid: ReadonlyMap<string, Handler> = new Map([
    [CHAT_PATH, answerChat],
    [
      '/v1/completions',
      jsonRoute(parts, { endpoint: completions, read: (bytes) => bodies.read('text', bytes) }),
    ],
    [
      '/v1/embeddings',
      jsonRoute(parts, { endpoint: embeddings, read: (bytes) => bodies.read('embeddings', bytes) }),
    ],
    [
      '/v1/images/generations',
      jsonRoute(parts, { endpoint: images, read: (bytes) => bodies.read('images', bytes) }),
    ],
    [
      '/v1/responses',
      jsonRoute(parts, {
        endpoint: chat,
        read: (bytes) => bodies.read('responses', bytes),
        translation: responses,
      }),
    ],
    [
      '/v1/messages',
      jsonRoute(parts, {
        endpoint: chat,
        read: (bytes) => bodies.read('messages', bytes),
        whose: (request) => ({ key: consumerKey(rooms.inference.keys, bearerOf(request.headers)) }),
        translation: messages,
      }),
    ],
    ['/v1/playground/chat', answerPlayground],
    // The base address /v1/playground, for clients that add the rest themselves.
    ['/v1/playground/chat/completions', answerPlayground],
    [
      '/v1/audio/transcriptions',
      formRoute({ ...parts, bodyBytesMax: rooms.recordingBytesMax }, transcriptions),
    ],
  ]);
  let http: Server | undefined;
  /** Below TLS, so that a socket which never gets through its handshake is known, too. */
  const sockets = new Set<Socket>();
  const app: FastifyInstance = Fastify({
    genReqId: () => rooms.inference.ids('req'),
    bodyLimit: rooms.bodyBytesMax,
    logger: false,
    routerOptions: { maxParamLength: 300 },
    clientErrorHandler: refuseUnreadable,
    // An address that cannot be read (`/%zz`) never gets as far as a route or a hook.
    frameworkErrors: (_error, request, reply: Pick<FastifyReply, 'header' | 'code'>) => {
      void reply.header('x-request-id', request.id).code(404).send(errorBody('route-unknown'));
    },
    serverFactory: (control) => {
      const options = {
        noDelay: true,
        requestTimeout: address.bodyTimeoutMs,
        headersTimeout: address.headTimeoutMs,
        // How often the two are looked at.
        connectionsCheckingInterval: Math.ceil(address.headTimeoutMs / 4),
        keepAliveTimeout: 75_000,
      };
      const answer = (request: IncomingMessage, response: ServerResponse): void => {
        // The next request on this connection belongs to another process; closing it behind an answer loses none.
        if (leaving) response.shouldKeepAlive = false;
        if (request.method !== 'POST') return control(request, response);
        if (request.url === CHAT_PATH) return answerChat(request, response);
        const handler = paid.get(pathOf(request.url));
        if (handler) handler(request, response);
        else control(request, response);
      };
      if (address.tls) {
        const server = createTlsServer({ ...address.tls.options(), ...options }, answer);
        address.tls.serve(server);
        http = server;
      } else http = createServer(options, answer);
      http.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
      http.maxRequestsPerSocket = 0;
      return http;
    },
  });

  const routes = [...paid.keys()].map((url) => `POST ${url}`);
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) if (each !== 'HEAD') routes.push(`${each} ${url}`);
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    // Many clients name a type also where they send nothing; only what is sent must be of it.
    const { headers } = request;
    const empty = headers['content-length'] === '0' || headers['content-length'] === undefined;
    if (request.method === 'DELETE' && empty && headers['transfer-encoding'] === undefined)
      delete headers['content-type'];
    rooms.loops.pass(request.headers['cdn-loop']);
  });
  app.setNotFoundHandler((request, reply) => {
    if (!rooms.dashboard?.answer(request, reply)) reply.code(404).send(errorBody('route-unknown'));
  });
  app.setErrorHandler((error, request, reply) => {
    const fault = asFault(error);
    if (fault.code === 'internal')
      rooms.inference.log.error({ request: request.id, err: error }, 'A request met a bug.');
    if (fault.retryAfterS !== undefined) reply.header('retry-after', Math.ceil(fault.retryAfterS));
    reply.code(errorRow(fault.code).status).send(errorBody(fault.code, fault));
  });

  app.get('/health', async (_request, reply) => {
    const health = rooms.health();
    return reply.code(health.status === 'ok' ? 200 : 503).send(health);
  });
  app.get('/api/v1/health', async (_request, reply) => {
    const health = rooms.health();
    return reply.code(health.status === 'ok' ? 200 : 503).send(health);
  });
  app.get('/metrics', async (request, reply) => {
    mayReadMetrics(request.raw, rooms.metrics.token, rooms.console.addresses);
    return reply.type(rooms.metrics.page.contentType).send(await rooms.metrics.page.text());
  });
  app.get('/status', async (_request, reply) =>
    reply.headers(STATUS_PAGE_HEADERS).send(statusPage(await rooms.status.report())),
  );
  app.get('/status.json', async (_request, reply) =>
    reply.headers(STATUS_HEADERS).send(await rooms.status.report()),
  );
  app.get('/status.atom', async (_request, reply) =>
    reply
      .headers(STATUS_HEADERS)
      .type('application/atom+xml; charset=utf-8')
      .send(statusFeed(await rooms.status.report())),
  );
  app.get('/v1/models', async () => ({
    object: 'list',
    data: rooms.models
      .list()
      .filter((model) => model.active)
      .map((model) => modelBody(model, rooms.providersOf(model.id))),
  }));
  app.get('/v1/playground/models', async () => {
    if (!rooms.playground.enabled) throw new Fault('route-unknown');
    const models = rooms.models.list().filter((model) => chat.categories.has(model.category));
    return { object: 'list', data: models.map((model) => modelBody(model, rooms.providersOf(model.id))) };
  });
  app.get('/', (request, reply) => {
    if (wantsPage(request) && rooms.dashboard?.answer(request, reply)) return;
    void reply.redirect('/docs', 302);
  });
  const document = openApi(rooms.version);
  const page = docsPage(document);
  app.get('/openapi.json', async () => document);
  app.get('/docs', async (_request, reply) => reply.headers(page.headers).send(page.html));
  app.get<{ Querystring: { id?: unknown } }>('/v1/generation', async (request) => {
    const key = consumerKey(rooms.inference.keys, bearerOf(request.headers));
    return await generation(
      { usage: rooms.usage, providers: rooms.console.providers },
      key,
      request.query.id,
    );
  });
  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const model = rooms.models.resolve(request.params['*']);
    if (!model?.active) throw new Fault('model-unknown', { param: 'model' });
    return modelBody(model, rooms.providersOf(model.id));
  });
  openConsole(app, rooms.console);

  // What follows answers only that a method is none of an address's: it is no route of its own.
  const served = [...routes];
  const posted = [...paid.keys()].map((url): [string, readonly string[]] => [url, ['POST']]);
  for (const [url, allowed] of [...posted, ...Object.entries(ALLOWED)]) {
    app.route({
      method: METHODS.filter((method) => !allowed.includes(method)),
      url,
      handler: async (_request, reply) => {
        void reply.header('allow', allowed.join(', '));
        throw new Fault('method-not-allowed');
      },
    });
  }

  await app.listen({ host: address.host, port: address.port, backlog: LISTEN_BACKLOG });
  const bound = (http as unknown as Server).address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : address.port,
    get underWay() {
      return writer.underWay;
    },
    leave: () => {
      leaving = true;
    },
    routes: served,
    stopAccepting: () => {
      leaving = true;
      closing = true;
    },
    close: async () => {
      closing = true;
      const { clock } = rooms.inference;
      // A client keeps its connection when its last answer has come. One that was busy when we closed the idle ones
      // would hold us up until it is tired of waiting; one that never ends its request, for ever.
      const idle = clock.every(IDLE_SWEEP_MS, () => http?.closeIdleConnections());
      const late = clock.after(LAST_ANSWERS_MS, () => {
        for (const socket of sockets) socket.destroy();
      });
      http?.closeIdleConnections();
      await app.close();
      idle.cancel();
      late.cancel();
    },
  };
}

export interface GatewayRooms {
  readonly inference: InferenceRooms;
  readonly bodies: Pick<BodyPool, 'read'>;
  readonly loops: LoopGuard;
  /** What consumers want kept of what they ask; absent: nothing ever is. */
  readonly debug?: DebugLog;
  readonly bodyBytesMax: number;
  /** The largest recording to be transcribed, in bytes. */
  readonly recordingBytesMax: number;
  /** All large bodies together, in bytes. */
  readonly bodiesBytesMax: number;
  readonly models: { resolve(name: string): Model | undefined; list(): readonly Model[] };
  /** How many candidates could serve a model now. */
  readonly providersOf: (modelId: string) => number;
  /** The pages for people; undefined where they were not built. */
  readonly dashboard: Dashboard | undefined;
  /** Ours, as the package has it. */
  readonly version: string;
  readonly usage: GenerationRooms['usage'];
  readonly playground: PlaygroundSettings;
  readonly console: ConsoleRooms;
  readonly metrics: MetricsRooms;
  /** What everybody may know of how it goes. */
  readonly status: { report(): Promise<StatusBody> };
  readonly health: () => Health;
}

export interface Health {
  readonly status: 'ok' | 'starting' | 'draining' | 'failing';
  readonly [figure: string]: unknown;
}

export interface Gateway {
  readonly port: number;
  /** Answers to paid requests that are not over: not given, or not read to their end. */
  readonly underWay: number;
  /** From now on no connection is kept after its answer: the next request is for another process. */
  leave(): void;
  /** Every route, as `GET /v1/models`. */
  readonly routes: readonly string[];
  /** New requests are refused with 503; those under way go on. */
  stopAccepting(): void;
  /** Closes when the last answers were read, or cuts them off after two seconds. */
  close(): Promise<void>;
}

const IDLE_SWEEP_MS = 20;
/** How long the last answers may take to reach their readers: all work is over when the gateway closes. */
const LAST_ANSWERS_MS = 2_000;

/** Anybody's page may read these: there is nothing private in them. */
const STATUS_HEADERS = {
  'cache-control': 'public, max-age=15',
  'access-control-allow-origin': '*',
  'x-content-type-options': 'nosniff',
};

const CHAT_PATH = '/v1/chat/completions';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
/** What each address answers beside the paid ones; every other method is told so. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  '/health': ['GET', 'HEAD'],
  '/api/v1/health': ['GET', 'HEAD'],
  '/v1/models': ['GET', 'HEAD'],
  '/v1/models/*': ['GET', 'HEAD'],
  '/v1/playground/models': ['GET', 'HEAD'],
  '/v1/generation': ['GET', 'HEAD'],
  '/metrics': ['GET', 'HEAD'],
  '/status': ['GET', 'HEAD'],
  '/status.json': ['GET', 'HEAD'],
  '/status.atom': ['GET', 'HEAD'],
  '/openapi.json': ['GET', 'HEAD'],
  '/': ['GET', 'HEAD'],
  '/docs': ['GET', 'HEAD'],
  '/api/v1/provider/status': ['GET', 'HEAD'],
};

/** Anthropic's clients send the key in a header of its own. */
function bearerOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['x-api-key'];
  return typeof key === 'string' ? `Bearer ${key}` : headers.authorization;
}

/** The address without its question mark and what follows. */
function pathOf(url: string | undefined): string {
  const question = url?.indexOf('?') ?? -1;
  return question < 0 ? (url ?? '') : (url as string).slice(0, question);
}

/** What is no HTTP, or comes too slowly to be a request: answered if that is still possible, and cut. */
function refuseUnreadable(error: { code?: string }, socket: Socket): void {
  if (!socket.writable || socket.bytesWritten > 0) return void socket.destroy();
  const slow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const status = slow ? '408 Request Timeout' : '400 Bad Request';
  const outer = slow ? 'The request did not arrive in time.' : 'The request is not readable as HTTP.';
  const body = JSON.stringify(errorBody(slow ? 'client-too-slow' : 'request-invalid', { outer }));
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

/** Our own faults as they are; what Fastify throws by its status. */
function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const status = (error as { statusCode?: number }).statusCode;
  if (status === 413) return new Fault('body-too-large');
  if (status !== undefined && status >= 400 && status < 500)
    return new Fault('request-invalid', { cause: error });
  return new Fault('internal', { cause: error });
}
