import type { ListedEndpoint } from '#identity/endpoints.ts';
import { Fault } from '#kit/fault.ts';
import { askRequest, endpointRequest } from '#wire/console.ts';
import type { OperatorEndpoint, OperatorEndpointsAnswer } from '#wire/operator.ts';
import { endpointWork } from './endpoints.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** Every external endpoint, and what an operator does about one in its provider's place. */
export function operatorEndpointRoutes(rooms: ConsoleRooms): Route[] {
  const forOperator = { access: 'operator', errors: 'text' } as const;
  const work = endpointWork(rooms);
  const find = async (id: string | undefined): Promise<ListedEndpoint> => {
    const found = (await rooms.external.desk.list(undefined)).find((each) => each.id === id);
    if (!found) throw new Fault('thing-unknown', { outer: 'There is no such endpoint.' });
    return found;
  };
  const shown = (endpoint: ListedEndpoint): OperatorEndpoint => ({
    provider: endpoint.providerId,
    provider_name: rooms.providers.find(endpoint.providerId)?.name ?? null,
    ...work.shown(endpoint),
  });

  return [
    route(
      'GET /api/v1/operator/endpoints',
      forOperator,
      async (): Promise<OperatorEndpointsAnswer> => ({
        endpoints: (await rooms.external.desk.list(undefined)).map(shown),
      }),
    ),
    route(
      'POST /api/v1/operator/providers/:id/endpoints',
      { ...forOperator, body: endpointRequest },
      async (visit): Promise<OperatorEndpoint> => {
        const providerId = visit.params['id'] ?? '';
        if ((rooms.providers.find(providerId)?.state ?? 'removed') === 'removed')
          throw new Fault('thing-unknown', { outer: 'There is no such provider.' });
        const id = await work.add(providerId, visit.body, visit.actor);
        visit.changed = { after: { endpoint: id } };
        visit.reply.code(201);
        return shown(await find(id));
      },
    ),
    route(
      'POST /api/v1/operator/endpoints/:id/check',
      forOperator,
      async (visit): Promise<OperatorEndpoint> => {
        const endpoint = await find(visit.params['id']);
        const before = rooms.external.fleet.stateOf(endpoint.id)?.health ?? 'unchecked';
        await rooms.external.fleet.check(endpoint.id);
        const after = rooms.external.fleet.stateOf(endpoint.id)?.health ?? 'unchecked';
        visit.changed = { before: { health: before }, after: { health: after } };
        return shown(endpoint);
      },
    ),
    route(
      'PUT /api/v1/operator/endpoints/:id/ask',
      { ...forOperator, body: askRequest },
      async (visit): Promise<OperatorEndpoint> => {
        const endpoint = await find(visit.params['id']);
        const askOf = ({ models }: OperatorEndpoint) =>
          models.find(({ model }) => model === rooms.models.resolve(visit.body.model)?.id)?.ask ?? null;
        const before = askOf(shown(endpoint));
        await work.ask(endpoint, visit.body, visit.actor);
        const answer = shown(await find(endpoint.id));
        visit.changed = { before: { ask: before }, after: { ask: askOf(answer) } };
        return answer;
      },
    ),
    route('DELETE /api/v1/operator/endpoints/:id', forOperator, async (visit) => {
      const endpoint = await find(visit.params['id']);
      await work.remove(endpoint, visit.actor);
      visit.changed = { before: { name: endpoint.name, url: endpoint.url } };
      return { removed: true, id: endpoint.id };
    }),
  ];
}
