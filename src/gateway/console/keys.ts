import { type KeyScope, WHOLE_SCOPE } from '#domain/key-scope.ts';
import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import { planOf } from '#domain/plan.ts';
import type { ListedKey } from '#identity/keys.ts';
import { AddressList } from '#kit/address-list.ts';
import { Fault } from '#kit/fault.ts';
import {
  type KeyAnswerBody,
  type KeyLimitsRequest,
  keyChangeRequest,
  keyRequest,
  revocationsRequest,
  rotationRequest,
} from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route, type Visit } from './route.ts';

/** What the owner of an account does with keys: a consumer's and, where the user is a provider, a provider's. */
export function keyRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, keyDesk, accounts } = rooms;
  const forUser = { access: 'user', errors: 'text' } as const;
  /** The caller's own key with this id. Another's key reads like one that does not exist. */
  const ownKey = async (visit: Visit<unknown, unknown>): Promise<ListedKey> => {
    const { consumerId, providerId } = visit.user;
    const id = visit.params['id'] ?? '';
    const key =
      (await keyDesk.find(consumerId, id)) ??
      (providerId === null ? undefined : await keyDesk.find(providerId, id));
    if (!key) throw new Fault('thing-unknown', { outer: 'There is no such key.' });
    return key;
  };
  const body = (key: ListedKey): KeyAnswerBody => keyBody(key, clock.wallMs());

  return [
    route('GET /api/v1/user/me/keys', forUser, async (visit) => ({
      keys: (await keyDesk.list(visit.user.consumerId)).map(body),
    })),
    route('GET /api/v1/user/me/provider-keys', forUser, async (visit) => ({
      keys: visit.user.providerId === null ? [] : (await keyDesk.list(visit.user.providerId)).map(body),
    })),
    route('POST /api/v1/user/me/keys', { ...forUser, body: keyRequest }, async (visit) => {
      const { scope, expiresAt } = limitsOf(rooms, visit.body, { scope: WHOLE_SCOPE, expiresAt: null });
      const { consumerId } = visit.user;
      const { name } = visit.body;
      const made = await keyDesk.create({
        kind: 'consumer',
        ownerId: consumerId,
        name,
        scope,
        expiresAt,
        origin: visit.origin,
        actor: visit.actor,
      });
      if (made === 'too-many') throw new Fault('conflict', { outer: 'This account has too many keys.' });
      await rooms.keys.look([made.id]);
      const key = await keyDesk.find(consumerId, made.id);
      visit.reply.code(201);
      return { api_key: made.secret.open(), key: key && body(key) };
    }),
    route('GET /api/v1/user/me/keys/:id', forUser, async (visit) => ({ key: body(await ownKey(visit)) })),
    route('PATCH /api/v1/user/me/keys/:id', { ...forUser, body: keyChangeRequest }, async (visit) => {
      const key = await ownKey(visit);
      if (key.kind === 'provider' && Object.keys(visit.body).some((field) => field !== 'name'))
        throw new Fault('request-invalid', { outer: 'A provider key can only be renamed.' });
      const { scope, expiresAt } = limitsOf(rooms, visit.body, key);
      const { id, ownerId } = key;
      const name = visit.body.name ?? key.name;
      if (!(await keyDesk.change({ id, ownerId, name, scope, expiresAt, actor: visit.actor })))
        throw new Fault('conflict', { outer: 'This key is revoked.' });
      await rooms.keys.look([id]);
      const changed = await keyDesk.find(ownerId, id);
      return { key: changed && body(changed) };
    }),
    route('POST /api/v1/user/me/keys/:id/rotate', { ...forUser, body: rotationRequest }, async (visit) => {
      const key = await ownKey(visit);
      const rotated = await keyDesk.rotate({
        id: key.id,
        ownerId: key.ownerId,
        overlapMs: visit.body.overlap_hours * 3_600_000,
        origin: visit.origin,
        actor: visit.actor,
      });
      if (rotated === 'unknown')
        throw new Fault('conflict', { outer: 'This key is revoked or has expired.' });
      if (rotated === 'superseded') {
        throw new Fault('conflict', { outer: 'This key has a successor already: rotate that one.' });
      }
      await rooms.keys.look([key.id, rotated.id]);
      visit.reply.code(201);
      return {
        api_key: rotated.secret.open(),
        id: rotated.id,
        old_key_works_until: new Date(rotated.overlapUntil).toISOString(),
      };
    }),
    route(
      'POST /api/v1/user/me/keys/revocations',
      { ...forUser, body: revocationsRequest },
      async (visit) => {
        const revoked = await accounts.revokeKeysSince(visit.user.id, visit.body.since);
        await rooms.keys.look(revoked);
        return { revoked };
      },
    ),
    route('DELETE /api/v1/user/me/keys/:id', forUser, async (visit) => {
      const { id, ownerId } = await ownKey(visit);
      await keyDesk.revoke({ id, ownerId, actor: visit.actor });
      await rooms.keys.look([id]);
      return { id, status: 'revoked' };
    }),
    // What a program may know with nothing but its key: the key's own limits, and no other's.
    route('GET /api/v1/key', { access: 'consumer-key', errors: 'object' }, async (visit) => {
      const { key } = visit;
      const left = rooms.caps.left(key);
      const scope = key.scope ?? WHOLE_SCOPE;
      const plan = planOf(key.plan);
      return {
        id: key.id,
        name: key.name,
        prefix: key.prefix,
        expires_at: key.expiresAt === undefined ? null : new Date(key.expiresAt).toISOString(),
        models: scope.models,
        categories: scope.categories,
        requests_per_minute: scope.requestsPerMinute,
        cap_day_usd: usd(scope.capDay),
        cap_day_remaining_usd: usd(left?.day ?? null),
        cap_month_usd: usd(scope.capMonth),
        cap_month_remaining_usd: usd(left?.month ?? null),
        plan: {
          name: plan.name,
          requests_per_minute: plan.requestsPerMinute,
          requests_per_day: plan.requestsPerDay,
          concurrent: plan.concurrent,
        },
      };
    }),
  ];
}

/** The limits that a request asks for, on top of those that hold. Throws 400 for a model or address that is none. */
function limitsOf(
  rooms: ConsoleRooms,
  asked: Partial<KeyLimitsRequest>,
  before: { scope: KeyScope; expiresAt: number | null },
): { scope: KeyScope; expiresAt: number | null } {
  const { scope } = before;
  const models =
    asked.models &&
    asked.models.map((name) => {
      const model = rooms.models.resolve(name);
      if (!model) throw invalid('models', `${JSON.stringify(name)} is not in the catalogue`);
      return model.id;
    });
  if (asked.addresses) {
    try {
      new AddressList(asked.addresses).has('');
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw invalid('addresses', `expected ${error.message}`);
    }
  }
  const expiresAt =
    asked.expires_at === undefined
      ? before.expiresAt
      : asked.expires_at === null
        ? null
        : Date.parse(asked.expires_at);
  if (asked.expires_at && !((expiresAt as number) > rooms.clock.wallMs()))
    throw invalid('expires_at', 'is not in the future');
  return {
    expiresAt,
    scope: {
      models: models === undefined ? scope.models : models && [...new Set(models)],
      categories:
        asked.categories === undefined
          ? scope.categories
          : asked.categories && [...new Set(asked.categories)],
      capDay: amount(asked.cap_day_usd, scope.capDay),
      capMonth: amount(asked.cap_month_usd, scope.capMonth),
      addresses: asked.addresses === undefined ? scope.addresses : asked.addresses,
      requestsPerMinute:
        asked.requests_per_minute === undefined ? scope.requestsPerMinute : asked.requests_per_minute,
    },
  };
}

function amount(asked: string | null | undefined, before: Pico | null): Pico | null {
  return asked === undefined ? before : asked === null ? null : parseUsd(asked);
}

function invalid(param: string, why: string): Fault {
  return new Fault('request-invalid', { outer: `${param}: ${why}.`, param });
}

function keyBody(key: ListedKey, now: number): KeyAnswerBody {
  const { scope } = key;
  return {
    id: key.id,
    name: key.name,
    prefix: `${key.kind === 'consumer' ? 'sk-swan' : 'sk-prov'}-${key.prefix}`,
    status: key.revoked ? 'revoked' : key.expiresAt !== null && key.expiresAt <= now ? 'expired' : 'active',
    created_at: iso(key.createdAt) as string,
    last_used_on: key.lastUsedOn,
    revoked_at: iso(key.revokedAt),
    expires_at: iso(key.expiresAt),
    rotated_from: key.familyId === key.id ? null : key.familyId,
    models: scope.models && [...scope.models],
    categories: scope.categories && [...scope.categories],
    cap_day_usd: usd(scope.capDay),
    cap_month_usd: usd(scope.capMonth),
    addresses: scope.addresses && [...scope.addresses],
    requests_per_minute: scope.requestsPerMinute,
    made_in: key.origin && {
      session: key.origin.sessionId,
      address: key.origin.address,
      program: key.origin.program,
    },
  };
}

function iso(wallMs: number | null): string | null {
  return wallMs === null ? null : new Date(wallMs).toISOString();
}

function usd(value: Pico | null): string | null {
  return value === null ? null : formatUsd(value).slice(1);
}
