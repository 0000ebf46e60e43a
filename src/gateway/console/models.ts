import type { PriceVersion } from '#catalogue/prices.ts';
import { decimalUsd } from '#domain/money.ts';
import { Fault } from '#kit/fault.ts';
import { pageQuery } from '#wire/console.ts';
import type { PriceHistoryAnswer } from '#wire/market.ts';
import { pricesOf } from './dollars.ts';
import type { ConsoleRooms } from './rooms.ts';
import { enveloped, type Route, route } from './route.ts';

/** What is sold, as the Swan agent's wizard and its `models` commands ask for it: calls 12 to 14 of its contract. */
export function modelRoutes(rooms: ConsoleRooms): Route[] {
  const open = { access: 'public', errors: 'object' } as const;
  const files = async (id: string) => {
    const model = rooms.models.resolve(id);
    if (!model) throw new Fault('model-unknown');
    // No reference hashes of weights are kept, so there is nothing that a provider's files could be compared with.
    return enveloped({ model_id: model.id, files: [], total_size_bytes: 0, file_count: 0 });
  };
  const prices = async (id: string): Promise<PriceHistoryAnswer> => {
    const model = rooms.models.resolve(id);
    if (!model) throw new Fault('model-unknown');
    return enveloped({
      model: model.id,
      prices: (await rooms.prices(model.id)).map(pricedSince),
    });
  };
  return [
    // What a model cost, costs, and will cost.
    route('GET /api/v1/models/:id/prices', open, async (visit) => await prices(visit.params['id'] ?? '')),
    route(
      'GET /api/v1/models/:org/:name/prices',
      open,
      async (visit) => await prices(`${visit.params['org']}/${visit.params['name']}`),
    ),
    route('GET /api/v1/models', { ...open, query: pageQuery }, async (visit) => {
      const { page, page_size: size, category } = visit.query;
      const all = rooms.models
        .list()
        .filter((model) => category === undefined || model.category === category);
      const list = all.slice((page - 1) * size, page * size).map((model) => {
        const { input_price, output_price, request_price } = pricesOf(model, rooms.policy);
        return {
          id: model.id,
          slug: model.slug,
          name: model.name,
          category: model.category,
          active: model.active,
          tier: model.tier ?? '',
          context_length: model.contextTokens ?? 0,
          min_vram_gb: model.minVramGb,
          input_price,
          output_price,
          request_price,
          online_providers: onlineProviders(rooms, model.id),
          requirements: model.requirements ?? null,
        };
      });
      return enveloped({ list, total: all.length, page, page_size: size });
    }),
    route('GET /api/v1/models/catalog', open, async () => {
      const models = rooms.models.list().map((model) => ({
        model_id: model.id,
        name: model.name,
        category: model.category,
        file_count: 0,
        total_size_bytes: 0,
      }));
      return enveloped({ models, total: models.length });
    }),
    // The agent writes `org%2Fmodel`; people write `org/model`.
    route('GET /api/v1/models/:id/files', open, async (visit) => await files(visit.params['id'] ?? '')),
    route(
      'GET /api/v1/models/:org/:name/files',
      open,
      async (visit) => await files(`${visit.params['org']}/${visit.params['name']}`),
    ),
  ];
}

const MILLION = 1_000_000n;

function pricedSince(version: PriceVersion): PriceHistoryAnswer['data']['prices'][number] {
  const token = version.unit === 'token';
  return {
    effective_from: new Date(version.effectiveFrom).toISOString(),
    input_price: token ? decimalUsd(version.inputPico * MILLION) : null,
    output_price: token ? decimalUsd(version.outputPico * MILLION) : null,
    request_price: token ? null : decimalUsd(version.requestPico),
    minute_price: token || version.minutePico === undefined ? null : decimalUsd(version.minutePico),
  };
}

/** How many providers could serve a model now. */
export function onlineProviders(rooms: Pick<ConsoleRooms, 'registry'>, modelId: string): number {
  const providers = new Set<string>();
  for (const candidate of rooms.registry.candidates(modelId))
    if (candidate.eligible && !candidate.draining) providers.add(candidate.providerId);
  return providers.size;
}
