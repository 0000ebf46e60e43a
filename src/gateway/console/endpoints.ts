import type { EndpointState } from '#hub/external/fleet.ts';
import { readWish } from '#hub/external/registration.ts';
import type { ListedEndpoint } from '#identity/endpoints.ts';
import { Fault } from '#kit/fault.ts';
import { Sealed } from '#kit/sealed.ts';
import { type EndpointAnswer, endpointRequest } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** A provider's external endpoints. Their keys go in and are never shown again, not even in part. */
export function endpointRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, ids } = rooms;
  const forProvider = { access: 'provider', errors: 'object' } as const;

  const theirs = async (providerId: string, id: string | undefined): Promise<ListedEndpoint> => {
    const found = (await rooms.external.desk.list(providerId)).find((each) => each.id === id);
    if (!found) throw new Fault('thing-unknown', { outer: 'You have no such endpoint.' });
    return found;
  };
  const shown = (endpoint: ListedEndpoint): EndpointAnswer =>
    endpointBody(endpoint, rooms.external.fleet.stateOf(endpoint.id));

  return [
    route('GET /api/v1/provider/endpoints', forProvider, async (visit) => ({
      endpoints: (await rooms.external.desk.list(visit.providerId)).map(shown),
    })),
    route('POST /api/v1/provider/endpoints', { ...forProvider, body: endpointRequest }, async (visit) => {
      const { providerId, body, actor } = visit;
      const read = await readWish(
        {
          name: body.name,
          url: body.url,
          capacity: body.capacity,
          models: body.models.map((each) => ({
            model: each.model,
            upstreamName: each.upstream_name,
            operations: each.operations,
          })),
        },
        { models: rooms.models, rules: rooms.external.rules },
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
      visit.reply.code(201);
      return shown(await theirs(providerId, id));
    }),
    route('POST /api/v1/provider/endpoints/:id/check', forProvider, async (visit) => {
      const endpoint = await theirs(visit.providerId, visit.params['id']);
      await rooms.external.fleet.check(endpoint.id);
      return shown(endpoint);
    }),
    route('DELETE /api/v1/provider/endpoints/:id', forProvider, async (visit) => {
      const { providerId, actor } = visit;
      const { id } = await theirs(providerId, visit.params['id']);
      await rooms.external.desk.remove({ id, providerId, actor, at: clock.wallMs() });
      await rooms.external.look(id);
      return { removed: true, id };
    }),
  ];
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
      listed: state?.health === 'healthy' ? !state.missing.includes(model.modelId) : null,
    })),
    health: state?.health ?? 'unchecked',
    because: state?.because ?? null,
    checked_at: state?.checkedAt === undefined ? null : new Date(state.checkedAt).toISOString(),
    created_at: new Date(endpoint.createdAt).toISOString(),
  };
}
