import { type ExternalEndpoint, usualOperations } from '#domain/external-endpoint.ts';
import type { Model } from '#domain/model.ts';
import { OPERATIONS, type Operation } from '#domain/operation.ts';
import { type Amounts, asksMore, priceText } from '#domain/price.ts';
import type { IdMaker } from '#kit/id.ts';
import type { ModelFinder } from '../ports.ts';
import { addressOf, type NetworkRules, readEndpointUrl } from './endpoint-url.ts';

/** What an owner writes to register an endpoint. */
export interface Wish {
  readonly name: string;
  readonly url: string;
  readonly capacity: number;
  readonly models: readonly WishedModel[];
}

export interface WishedModel {
  /** By any of the catalogue's names for it. */
  readonly model: string;
  /** Undefined: the endpoint calls it by the catalogue's id. */
  readonly upstreamName?: string | undefined;
  /** Undefined: what is usual for its category. */
  readonly operations?: readonly string[] | undefined;
  /** Undefined: the listed price. */
  readonly ask?: Amounts | undefined;
}

/** Why a wish cannot be had, and which field of it is wrong. */
export interface Refused {
  readonly refusal: string;
  readonly field: 'url' | 'models';
}

/**
 * An endpoint as it may be registered, or a refusal in one sentence. Resolves the name in the URL, so that an owner
 * learns at once what every later connect would refuse.
 */
export async function readWish(
  wish: Wish,
  parts: { models: ModelFinder; rules: NetworkRules; ids: IdMaker },
): Promise<Omit<ExternalEndpoint, 'id' | 'providerId'> | Refused> {
  const place = readEndpointUrl(wish.url, parts.rules.allowed);
  if ('refusal' in place) return { refusal: place.refusal, field: 'url' };
  const models = new Map<string, ExternalEndpoint['models'][number]>();
  for (const wished of wish.models) {
    const model = parts.models.resolve(wished.model);
    if (!model) return ofModels(`There is no model ${quoted(wished.model)} in the catalogue.`);
    if (models.has(model.id)) return ofModels(`${model.id} is named twice.`);
    const operations = wished.operations ?? usualOperations(model.category);
    const strange = operations.find((each) => !(OPERATIONS as readonly string[]).includes(each));
    if (strange !== undefined)
      return ofModels(`An operation is one of ${OPERATIONS.join(', ')}, not ${quoted(strange)}.`);
    const { upstreamName = model.id, ask } = wished;
    const tooDear = ask && refusalOfAsk(ask, model);
    if (tooDear !== undefined) return ofModels(tooDear);
    models.set(model.id, {
      modelId: model.id,
      upstreamName,
      operations: operations as readonly Operation[],
      ...(ask && { ask: { id: parts.ids('ask'), ...ask } }),
    });
  }
  if (models.size === 0) return ofModels('An endpoint serves at least one model.');
  const found = await addressOf(place, parts.rules);
  if ('refusal' in found) return { refusal: found.refusal, field: 'url' };
  return { name: wish.name, url: place.url, capacity: wish.capacity, models: [...models.values()] };
}

/** Why nobody may ask this for `model`, in one sentence; undefined when somebody may. */
export function refusalOfAsk(ask: Amounts, { id, price }: Pick<Model, 'id' | 'price'>): string | undefined {
  if (ask.unit !== price.unit) return `${id} is priced by the ${price.unit}, and so must an ask be.`;
  if (!asksMore(ask, price)) return undefined;
  return `An ask may not be above the listed price of ${id}: ${priceText(price)}.`;
}

function ofModels(refusal: string): Refused {
  return { refusal, field: 'models' };
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
