import type { z } from 'zod';
import { formatUsd, type Pico } from '#domain/money.ts';
import type { Price } from '#domain/price.ts';
import type { EndpointState } from '#hub/external/fleet.ts';
import { readWish, refusalOfAsk } from '#hub/external/registration.ts';
import type { ListedEndpoint } from '#identity/endpoints.ts';
import { Fault } from '#kit/fault.ts';
import { Sealed } from '#kit/sealed.ts';
import { type AsksAnswer, askRequest, type EndpointAnswer, endpointRequest } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** A provider's external endpoints. Their keys go in and are never shown again, not even in part. */
export function endpointRoutes(rooms: ConsoleRooms): Route[] {
  const forProvider = { access: 'provider', errors: 'object' } as const;
  const work = endpointWork(rooms);
  const theirs = async (providerId: string, id: string | undefined): Promise<ListedEndpoint> => {
    const found = (await rooms.external.desk.list(providerId)).find((each) => each.id === id);
    if (!found) throw new Fault('thing-unknown', { outer: 'You have no such endpoint.' });
    return found;
  };

  return [
    route('GET /api/v1/provider/endpoints', forProvider, async (visit) => ({
      endpoints: (await rooms.external.desk.list(visit.providerId)).map(work.shown),
    })),
    route('POST /api/v1/provider/endpoints', { ...forProvider, body: endpointRequest }, async (visit) => {
      const { providerId, body, actor } = visit;
      const id = await work.add(providerId, body, actor);
      visit.reply.code(201);
      return work.shown(await theirs(providerId, id));
    }),
    route('POST /api/v1/provider/endpoints/:id/check', forProvider, async (visit) => {
      const endpoint = await theirs(visit.providerId, visit.params['id']);
      await rooms.external.fleet.check(endpoint.id);
      return work.shown(endpoint);
    }),
    route('PUT /api/v1/provider/endpoints/:id/ask', { ...forProvider, body: askRequest }, async (visit) => {
      const { providerId, body, actor } = visit;
      const { id } = await theirs(providerId, visit.params['id']);
      await work.ask({ id, providerId }, body, actor);
      return work.shown(await theirs(providerId, id));
    }),
    route('DELETE /api/v1/provider/endpoints/:id', forProvider, async (visit) => {
      const { providerId, actor } = visit;
      const { id } = await theirs(providerId, visit.params['id']);
      await work.remove({ id, providerId }, actor);
      return { removed: true, id };
    }),
  ];
}

/** What is done about endpoints, by their provider or by an operator for it. */
export function endpointWork(rooms: ConsoleRooms) {
  const { clock, ids } = rooms;
  return {
    shown: (endpoint: ListedEndpoint): EndpointAnswer =>
      endpointBody(endpoint, rooms.external.fleet.stateOf(endpoint.id)),
    /** Registers one, looks at it at once, and answers its name. */
    add: async (
      providerId: string,
      body: z.output<typeof endpointRequest>,
      actor: string,
    ): Promise<string> => {
      const read = await readWish(
        {
          name: body.name,
          url: body.url,
          capacity: body.capacity,
          models: body.models.map((each) => ({
            model: each.model,
            upstreamName: each.upstream_name,
            operations: each.operations,
            ask: each.ask,
          })),
        },
        { models: rooms.models, rules: rooms.external.rules, ids },
      );
      if ('refusal' in read) throw new Fault('request-invalid', { outer: read.refusal, param: read.field });
      const id = ids('ext');
      const answer = await rooms.external.desk.add({
        endpoint: { id, providerId, ...read },
        key: body.api_key === undefined ? undefined : new Sealed(body.api_key),
        actor,
        at: clock.wallMs(),
      });
      if (answer === 'too-many')
        throw new Fault('conflict', { outer: 'A provider has at most 20 endpoints: remove one first.' });
      await rooms.external.look(id);
      await rooms.external.fleet.check(id);
      return id;
    },
    /** What it asks for a model from now on. */
    ask: async (
      endpoint: { id: string; providerId: string },
      body: z.output<typeof askRequest>,
      actor: string,
    ): Promise<void> => {
      const model = rooms.models.resolve(body.model);
      const tooDear = model && body.ask && refusalOfAsk(body.ask, model);
      if (tooDear) throw new Fault('request-invalid', { outer: tooDear, param: 'ask' });
      const answer =
        model &&
        (await rooms.external.desk.ask({
          id: ids('ask'),
          endpointId: endpoint.id,
          providerId: endpoint.providerId,
          modelId: model.id,
          amounts: body.ask ?? undefined,
          actor,
          at: clock.wallMs(),
        }));
      if (answer !== 'set')
        throw new Fault('request-invalid', {
          outer: 'The endpoint does not serve this model.',
          param: 'model',
        });
      await rooms.external.look(endpoint.id);
    },
    remove: async (endpoint: { id: string; providerId: string }, actor: string): Promise<void> => {
      const { id, providerId } = endpoint;
      await rooms.external.desk.remove({ id, providerId, actor, at: clock.wallMs() });
      await rooms.external.look(id);
    },
  };
}

function endpointBody(endpoint: ListedEndpoint, state: EndpointState | undefined): EndpointAnswer {
  return {
    id: endpoint.id,
    name: endpoint.name,
    url: endpoint.url,
    has_key: endpoint.hasKey,
    capacity: endpoint.capacity,
    models: endpoint.models.map((model) => ({
      model: model.modelId,
      upstream_name: model.upstreamName,
      operations: [...model.operations],
      ask: model.ask ? askBody(model.ask) : null,
      listed: state?.health === 'healthy' ? !state.missing.includes(model.modelId) : null,
    })),
    health: state?.health ?? 'unchecked',
    because: state?.because ?? null,
    checked_at: state?.checkedAt === undefined ? null : new Date(state.checkedAt).toISOString(),
    created_at: new Date(endpoint.createdAt).toISOString(),
  };
}

/** As it is written in a request: decimal texts of dollars, exact. */
/** An ask as it is sent. */
export function askBody(ask: Price): AsksAnswer['asks'][number]['ask'] {
  if (ask.unit === 'token')
    return { input_price: usd(ask.inputPico * 1_000_000n), output_price: usd(ask.outputPico * 1_000_000n) };
  return {
    request_price: usd(ask.requestPico),
    ...(ask.minutePico !== undefined && { minute_price: usd(ask.minutePico) }),
  };
}

function usd(amount: Pico): string {
  return formatUsd(amount).replace('$', '');
}
