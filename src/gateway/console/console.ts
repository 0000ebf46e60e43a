import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { KeyRecord } from '#domain/party.ts';
import { Fault } from '#kit/fault.ts';
import { errorBody, errorRow } from '#wire/errors.ts';
import { FIRST_ISSUE } from '#wire/first-issue.ts';
import { checkAddress } from '../key-scope.ts';
import { accountRoutes } from './accounts.ts';
import { benchmarkRoutes } from './benchmarks.ts';
import { cached } from './cached.ts';
import { cardWebhook } from './card-webhook.ts';
import { collateralRoutes } from './collateral.ts';
import { debugLogRoutes } from './debug-log.ts';
import { earningsRoutes } from './earnings.ts';
import { economicsRoutes } from './economics.ts';
import { endpointRoutes } from './endpoints.ts';
import { eventRoutes } from './events.ts';
import { fundsRoutes } from './funds.ts';
import { incidentRoutes } from './incidents.ts';
import { keyRoutes } from './keys.ts';
import { marketRoutes } from './market.ts';
import { modelRoutes } from './models.ts';
import { openApiRoutes } from './openapi.ts';
import { operatorRoutes } from './operator.ts';
import { operatorConsumerRoutes } from './operator-consumers.ts';
import { operatorEndpointRoutes } from './operator-endpoints.ts';
import { operatorMoneyRoutes } from './operator-money.ts';
import { operatorPriceRoutes } from './operator-prices.ts';
import { overviewRoutes } from './overview.ts';
import { providerRoutes } from './provider.ts';
import { providerHealthRoutes } from './provider-health.ts';
import { providerStatus } from './provider-status.ts';
import { providerViewRoutes } from './provider-views.ts';
import { rewardRoutes } from './rewards.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Caller, type Route, Visit } from './route.ts';
import { SESSION_COOKIE } from './session-cookie.ts';
import { settlementRoutes } from './settlements.ts';
import { slaRoutes } from './sla.ts';
import { statementRoutes } from './statements.ts';
import { statsRoutes } from './stats.ts';
import { callerOf, Throttle } from './throttle.ts';
import { tierRoutes } from './tiers.ts';
import { trialRoutes } from './trial.ts';
import { usageRoutes } from './usage.ts';
import { walletRoutes } from './wallets.ts';
import { whyRoutes } from './why.ts';

/**
 * The management API under `/api/v1`: for people's browsers, for the Swan agent, for our dashboard. Each subject has a file
 * that states its routes; what is the same for all is here, in this order:
 *
 *     how often this address asks (429) · where a page came from (403) · who asks (401) · may they (403) · body (400) · the work
 *
 * A browser's session travels in a cookie that scripts cannot read and other sites do not send (`SameSite=Strict`). Should a
 * browser send it all the same, a request that changes something also needs the header `X-Cygnet-Request`, which no page of
 * another site can set without our consent, and an `Origin` that is ours. Programs send the token as a bearer instead and
 * need neither.
 */
export function openConsole(app: FastifyInstance, rooms: ConsoleRooms): void {
  const calls = new Throttle({ burst: 600, everyMs: 100 });
  void app.register(async (inner) => {
    // Only JSON: a form of another site can send text, but not this.
    inner.removeContentTypeParser('text/plain');
    inner.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    });
    inner.setErrorHandler((error, request, reply) => {
      const fault = asFault(error);
      if (fault.code === 'internal')
        rooms.log.error({ request: request.id, err: error }, 'A call of the console met a bug.');
      if (fault.retryAfterS !== undefined) reply.header('retry-after', Math.ceil(fault.retryAfterS));
      const shape = (request.routeOptions.config as { errors?: Route['errors'] }).errors ?? 'object';
      return reply.code(errorRow(fault.code).status).send(shaped(fault, shape));
    });
    inner.get('/api/v1/provider/status', async (request, reply) => {
      const { status, body } = providerStatus(
        { ...rooms, standings: rooms.benchmarks.book, life: rooms.life },
        request.headers.authorization,
      );
      return reply.code(status).send(body);
    });
    cardWebhook(inner, rooms);
    const routes = consoleRoutes(rooms);
    refuseOtherMethods(inner, routes);
    for (const each of routes) {
      inner.route({
        method: each.method,
        url: each.url,
        bodyLimit: BODY_BYTES_MAX,
        config: { errors: each.errors },
        onRequest: async (request) => {
          const address = rooms.addresses.of(request.raw);
          const name = callerOf(address);
          const nowMs = rooms.clock.nowMs();
          const waitS = calls.waitS(name, nowMs);
          if (waitS > 0) throw new Fault('tried-too-often', { retryAfterS: waitS });
          calls.note(name, nowMs);
          checkOrigin(each, request);
          const caller = await callerFor(rooms, each, request, address);
          admitted.set(request, { caller, address });
        },
        handler: async (request, reply) => await answer(rooms, each, request, reply),
      });
    }
  });
}

/** Every route of the console; the tests go through them one by one. */
export function consoleRoutes(rooms: ConsoleRooms): Route[] {
  const { clock } = rooms;
  // A long look at the usage list that several subjects are told from: one for all of them.
  const demand = cached(clock, DEMAND_KEPT_MS, () => rooms.reading.demand(clock.wallMs()));
  const routes: Route[] = [
    ...accountRoutes(rooms),
    ...keyRoutes(rooms),
    ...usageRoutes(rooms),
    ...overviewRoutes(rooms),
    ...debugLogRoutes(rooms),
    ...eventRoutes(rooms),
    ...tierRoutes(rooms),
    ...providerRoutes(rooms),
    ...fundsRoutes(rooms),
    ...trialRoutes(rooms),
    ...collateralRoutes(rooms),
    ...walletRoutes(rooms),
    ...endpointRoutes(rooms),
    ...earningsRoutes(rooms),
    ...marketRoutes(rooms),
    ...modelRoutes(rooms),
    ...statsRoutes(rooms, demand),
    ...whyRoutes(rooms, demand),
    ...providerHealthRoutes(rooms),
    ...economicsRoutes(rooms, demand),
    ...rewardRoutes(rooms),
    ...providerViewRoutes(rooms),
    ...settlementRoutes(rooms),
    ...statementRoutes(rooms),
    ...slaRoutes(rooms),
    ...operatorRoutes(rooms),
    ...operatorConsumerRoutes(rooms),
    ...operatorEndpointRoutes(rooms),
    ...operatorMoneyRoutes(rooms),
    ...operatorPriceRoutes(rooms),
    ...incidentRoutes(rooms),
    ...benchmarkRoutes(rooms),
  ];
  routes.push(...openApiRoutes(rooms, routes));
  return routes;
}

/** Says of every address here that it does not answer the methods that it does not. */
function refuseOtherMethods(app: FastifyInstance, routes: readonly Route[]): void {
  const methodsOf = new Map<string, { allowed: string[]; errors: Route['errors'] }>();
  for (const { url, method, errors } of routes) {
    const known = methodsOf.get(url) ?? { allowed: [], errors };
    known.allowed.push(method, ...(method === 'GET' ? ['HEAD'] : []));
    methodsOf.set(url, known);
  }
  for (const [url, { allowed, errors }] of methodsOf) {
    app.route({
      method: METHODS.filter((method) => !allowed.includes(method)),
      url,
      config: { errors },
      onRequest: async (_request, reply) => {
        reply.header('allow', allowed.join(', '));
        throw new Fault('method-not-allowed');
      },
      handler: async () => undefined,
    });
  }
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const BODY_BYTES_MAX = 65_536;
const DEMAND_KEPT_MS = 30_000;
const admitted = new WeakMap<FastifyRequest, { caller: Caller; address: string }>();

async function answer(
  rooms: ConsoleRooms,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const who = admitted.get(request);
  if (!who) throw new Fault('internal', { inner: 'a call that nobody admitted' });
  if (hasNul(request.params)) throw new Fault('thing-unknown');
  const visit = new Visit<unknown, unknown>(
    {
      body: read(route.body, request.body ?? {}),
      query: read(route.query, request.query),
      params: request.params as Record<string, string>,
      request,
      reply,
      address: who.address,
      isSecure: rooms.addresses.isSecure(request.raw),
    },
    who.caller,
  );
  if (route.access !== 'operator' || route.method === 'GET') return await route.handle(visit);
  return await written(rooms, route, visit);
}

/** What a suspended account may still change: who gets in. It looks at what is its own as before, and buys and begins nothing. */
const OPEN_TO_SUSPENDED =
  /\/user\/(?:logout|me\/(?:password|sessions|second-factor|debug-log|keys\/revocations))/;

/** What an operator does is written down before it is done, and how it ended after. */
async function written(rooms: ConsoleRooms, route: Route, visit: Visit<unknown, unknown>): Promise<unknown> {
  const { operatorLog, log } = rooms;
  const id = await operatorLog.begin({
    actor: visit.actor,
    what: `${route.method} ${route.url}`,
    about: Object.values(visit.params).join('/'),
    address: visit.address,
    asked: (visit.body ?? {}) as Record<string, unknown>,
  });
  // What cannot be written down stays open in the log: it never says of what was done that it failed.
  const ended = (how: { outcome: 'done' | 'refused' | 'failed'; code?: string }): Promise<void> =>
    operatorLog.end(id, { ...how, ...visit.changed }).catch((failed: unknown) => {
      log.error({ action: id, err: failed }, 'How an action of an operator ended could not be written down.');
    });
  let answered: unknown;
  try {
    answered = await route.handle(visit);
  } catch (error) {
    const { code } = asFault(error);
    await ended({ outcome: errorRow(code).status < 500 ? 'refused' : 'failed', code });
    throw error;
  }
  await ended({ outcome: 'done' });
  return answered;
}

function read(schema: Route['body'], value: unknown): unknown {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value, FIRST_ISSUE);
  if (parsed.success) {
    if (hasNul(parsed.data)) throw new Fault('request-invalid', { outer: NUL_REFUSED });
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  const at = issue?.path.join('.') ?? '';
  // What somebody called a field may be a secret in the wrong place: it is not said again.
  const wrong = issue?.code === 'unrecognized_keys' ? 'has a field that is unknown here' : issue?.message;
  throw new Fault('request-invalid', {
    outer: at === '' ? `The request ${wrong ?? 'is not valid'}.` : `${at}: ${wrong}.`,
    ...(at !== '' && { param: at }),
  });
}

const NUL_REFUSED = 'The request has the character U+0000, which no text here may have.';

/** Whether a text of a checked request has the one character that PostgreSQL cannot keep or look for. */
function hasNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0');
  return typeof value === 'object' && value !== null && Object.values(value).some(hasNul);
}

async function callerFor(
  rooms: ConsoleRooms,
  route: Route,
  request: FastifyRequest,
  address: string,
): Promise<Caller> {
  const { access } = route;
  if (access === 'public') return {};
  const token = tokenOf(request);
  const wantsKey =
    access === 'consumer-key' ||
    ((access === 'provider' || access === 'anyone-known') && token?.startsWith('sk-'));
  if (wantsKey) {
    const key = keyOf(rooms, token);
    checkAddress(key, () => address);
    const kind = access === 'anyone-known' ? key.kind : access === 'consumer-key' ? 'consumer' : 'provider';
    if (key.kind !== kind) {
      throw new Fault('key-unknown', { outer: `This is not a ${kind} key.` });
    }
    if (kind === 'provider' && (rooms.providers.find(key.ownerId)?.state ?? 'removed') === 'removed')
      throw new Fault('key-revoked');
    const keyHolds = (): boolean => {
      const now = rooms.keys.find(token ?? '');
      return typeof now !== 'string' && (now.scope === undefined || key.scope !== undefined);
    };
    return { key, keyHolds };
  }
  if (token === undefined) throw new Fault('session-missing');
  const found = await rooms.accounts.userOfSession(token);
  if (!found) {
    throw new Fault('session-missing', {
      outer: token.startsWith('sk-')
        ? 'This call needs a login, not an API key.'
        : 'This session has ended. Log in again.',
    });
  }
  const { user } = found;
  if (found.isSuspended && route.method !== 'GET' && !OPEN_TO_SUSPENDED.test(route.url))
    throw new Fault('account-suspended');
  const needsProvider = access === 'provider' || access === 'provider-user';
  if (needsProvider && user.providerId === null) {
    throw new Fault('role-missing', { outer: 'This account is not a provider.' });
  }
  if (access === 'operator' && !user.isOperator) {
    throw new Fault('role-missing', { outer: 'Only operators may do that.' });
  }
  return found;
}

function keyOf(rooms: ConsoleRooms, token: string | undefined): KeyRecord {
  if (token === undefined) throw new Fault('key-missing', { outer: 'No API key was given.' });
  const key = rooms.keys.find(token);
  if (key === 'revoked') throw new Fault('key-revoked');
  if (key === 'expired') throw new Fault('key-expired');
  if (key === 'suspended') throw new Fault('account-suspended');
  if (typeof key === 'string') throw new Fault('key-unknown');
  return key;
}

/** What the caller shows: a bearer token, or else the session in its cookie. */
function tokenOf(request: FastifyRequest): string | undefined {
  const { authorization } = request.headers;
  if (authorization !== undefined) return /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  return cookieOf(request);
}

function cookieOf(request: FastifyRequest): string | undefined {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === SESSION_COOKIE) return part.slice(at + 1).trim();
  }
  return undefined;
}

/** Refuses what a page of another site could have made a browser send. */
function checkOrigin(route: Route, request: FastifyRequest): void {
  if (route.method === 'GET') return;
  const { origin, host, authorization } = request.headers;
  const byCookie = authorization === undefined && cookieOf(request) !== undefined;
  if (!byCookie && !route.opensSession) return;
  const site = request.headers['sec-fetch-site'];
  const foreign =
    (origin !== undefined && hostOf(origin) !== host?.toLowerCase()) ||
    (site !== undefined && site !== 'same-origin' && site !== 'none');
  if (foreign || (byCookie && request.headers['x-cygnet-request'] === undefined)) {
    throw new Fault('cross-site');
  }
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

function shaped(fault: Fault, shape: Route['errors']): unknown {
  const body = errorBody(fault.code, fault);
  return shape === 'object' ? body : { error: body.error.message, code: body.error.code };
}

function asFault(error: unknown): Fault {
  if (error instanceof Fault) {
    // The console's own word for a database that is away; its fault names nothing that a caller knows.
    return error.code === 'database-unreachable'
      ? new Fault('ledger-unavailable', {
          outer: 'The marketplace cannot look that up right now.',
          cause: error,
          retryAfterS: 5,
        })
      : error;
  }
  const status = (error as { statusCode?: number }).statusCode;
  const code = (error as { code?: string }).code;
  if (status === 413) return new Fault('body-too-large');
  if (status === 415) return new Fault('encoding-unsupported', { outer: 'Send the body as JSON.' });
  if (code === 'FST_ERR_CTP_EMPTY_JSON_BODY' || error instanceof SyntaxError)
    return new Fault('body-not-json', { cause: error });
  if (status !== undefined && status >= 400 && status < 500)
    return new Fault('request-invalid', { cause: error });
  return new Fault('internal', { cause: error });
}
