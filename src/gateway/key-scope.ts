import type { KeyScope } from '#domain/key-scope.ts';
import type { Model } from '#domain/model.ts';
import type { KeyRecord } from '#domain/party.ts';
import { planOf } from '#domain/plan.ts';
import { AddressList } from '#kit/address-list.ts';
import { Fault } from '#kit/fault.ts';

/**
 * What a key may do, asked at admission and answered from memory. A key without a scope, which is nearly every key, costs
 * one look at a field.
 */

/** Compiled once per scope; a changed key comes with a new scope. */
const lists = new WeakMap<KeyScope, AddressList>();

/** Throws `Fault('address-not-allowed')` for a key that is bound to other addresses than `address` answers. */
export function checkAddress(key: KeyRecord, address: (() => string) | undefined): void {
  const addresses = key.scope?.addresses ?? null;
  if (addresses === null) return;
  const scope = key.scope as KeyScope;
  let list = lists.get(scope);
  if (!list) {
    list = new AddressList(addresses);
    lists.set(scope, list);
  }
  if (!address || !list.has(address())) throw new Fault('address-not-allowed');
}

/** Throws `Fault('model-not-allowed')` for a model that the key's scope or its account's plan leaves out. */
export function checkModel(key: KeyRecord, model: Model): void {
  const { scope, plan } = key;
  if (scope) {
    if (scope.models !== null && !scope.models.includes(model.id)) throw notAllowed(model);
    if (scope.categories !== null && !scope.categories.includes(model.category)) throw notAllowed(model);
  }
  if (plan !== undefined) {
    const { modelTiers, title } = planOf(plan);
    if (modelTiers !== null && (model.tier === undefined || !modelTiers.includes(model.tier))) {
      throw new Fault('model-not-allowed', {
        outer: `The plan ${title} does not include ${model.id}.`,
        param: 'model',
      });
    }
  }
}

function notAllowed(model: Model): Fault {
  return new Fault('model-not-allowed', { outer: `This key may not call ${model.id}.`, param: 'model' });
}
