import { createServer, type Server } from 'node:http';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Model } from '#domain/model.ts';
import { Fault } from '#kit/fault.ts';
import { errorBody, errorRow } from '#wire/errors.ts';
import { chatEndpoint } from './chat-endpoint.ts';
import { openConsole } from './console/console.ts';
import type { ConsoleRooms } from './console/rooms.ts';
import { ReplyWriter } from './http-reply.ts';
import type { InferenceRooms } from './inference.ts';
import { modelBody } from './model-body.ts';

/**
 * The map: every route of the gateway on one page. Chat completions are answered straight from node:http
 * (`chat-endpoint.ts`); everything else, where a microsecond is nothing, by Fastify.
 */
export async function openGateway(
  rooms: GatewayRooms,
  address: { host: string; port: number },
): Promise<Gateway> {
  let closing = false;
  const writer = new ReplyWriter(rooms.inference.clock);
  const chat = chatEndpoint(rooms.inference, {
    bodyBytesMax: rooms.bodyBytesMax,
    writer,
    closing: () => closing,
    addresses: rooms.console.addresses,
  });
  let http: Server | undefined;
  const app: FastifyInstance = Fastify({
    genReqId: () => rooms.inference.ids('req'),
    bodyLimit: rooms.bodyBytesMax,
    logger: false,
    routerOptions: { maxParamLength: 300 },
    serverFactory: (control) => {
      http = createServer(
        { noDelay: true, requestTimeout: 60_000, headersTimeout: 20_000, keepAliveTimeout: 75_000 },
        (request, response) => {
          if (request.method === 'POST' && isChatPath(request.url)) chat(request, response);
          else control(request, response);
        },
      );
      http.maxRequestsPerSocket = 0;
      return http;
    },
  });

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.setNotFoundHandler((_request, reply) => {
    reply.code(404).send(errorBody('route-unknown'));
  });
  app.setErrorHandler((error, request, reply) => {
    const fault = asFault(error);
    if (fault.code === 'internal')
      rooms.inference.log.error({ request: request.id, err: error }, 'A request met a bug.');
    if (fault.retryAfterS !== undefined) reply.header('retry-after', Math.ceil(fault.retryAfterS));
    reply.code(errorRow(fault.code).status).send(errorBody(fault.code, fault));
  });

  app.route({
    method: ['GET', 'PUT', 'PATCH', 'DELETE'],
    url: CHAT_PATH,
    handler: async () => {
      throw new Fault('method-not-allowed', { outer: 'Chat completions are asked for with POST.' });
    },
  });
  app.get('/health', async (_request, reply) => {
    const health = rooms.health();
    return reply.code(health.status === 'ok' ? 200 : 503).send(health);
  });
  app.get('/api/v1/health', async (_request, reply) => {
    const health = rooms.health();
    return reply.code(health.status === 'ok' ? 200 : 503).send(health);
  });
  app.get('/v1/models', async () => ({
    object: 'list',
    data: rooms.models
      .list()
      .filter((model) => model.active)
      .map((model) => modelBody(model, rooms.providersOf(model.id))),
  }));
  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const model = rooms.models.resolve(request.params['*']);
    if (!model?.active) throw new Fault('model-unknown', { param: 'model' });
    return modelBody(model, rooms.providersOf(model.id));
  });
  openConsole(app, rooms.console);

  await app.listen({ host: address.host, port: address.port });
  const bound = (http as unknown as Server).address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : address.port,
    stopAccepting: () => {
      closing = true;
    },
    close: async () => {
      closing = true;
      http?.closeIdleConnections();
      await app.close();
    },
  };
}

export interface GatewayRooms {
  readonly inference: InferenceRooms;
  readonly bodyBytesMax: number;
  readonly models: { resolve(name: string): Model | undefined; list(): readonly Model[] };
  /** How many candidates could serve a model now. */
  readonly providersOf: (modelId: string) => number;
  readonly console: ConsoleRooms;
  readonly health: () => Health;
}

export interface Health {
  readonly status: 'ok' | 'draining' | 'failing';
  readonly [figure: string]: unknown;
}

export interface Gateway {
  readonly port: number;
  /** New requests are refused with 503; those under way go on. */
  stopAccepting(): void;
  close(): Promise<void>;
}

const CHAT_PATH = '/v1/chat/completions';

function isChatPath(url: string | undefined): boolean {
  return url === CHAT_PATH || url?.startsWith(`${CHAT_PATH}?`) === true;
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
