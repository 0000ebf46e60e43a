import type { Database } from '#db/database.ts';
import type { Consumer, Provider } from '#domain/party.ts';
import { consumersNamed, listConsumers } from '#identity/consumers.ts';
import { providersNamed } from '#identity/providers.ts';
import { Refusal } from './refusal.ts';

/** The one consumer that `name` (an id or a name) means; without a name, the only one or the one called `demo`. */
export async function theConsumer(database: Database, name: string | undefined): Promise<Consumer> {
  if (name !== undefined) return theOne('consumer', name, await consumersNamed(database, name));
  const all = await listConsumers(database, 2);
  if (all.length === 0)
    throw new Refusal('There is no consumer yet. Make one with: npx cygnet consumers create <name>');
  if (all.length === 1) return all[0] as Consumer;
  const [demo, another] = await consumersNamed(database, 'demo');
  if (demo && !another) return demo;
  throw new Refusal('There are several consumers: name one by its id or name (npx cygnet consumers list).');
}

/** The one provider that `name` (an id or a name) means. */
export async function theProvider(database: Database, name: string): Promise<Provider> {
  return theOne('provider', name, await providersNamed(database, name));
}

function theOne<T extends { id: string }>(what: string, name: string, found: readonly T[]): T {
  // An id is meant even where somebody else bears it as a name.
  const exact = found.find((each) => each.id === name) ?? (found.length === 1 ? found[0] : undefined);
  if (exact) return exact;
  throw new Refusal(
    found.length === 0
      ? `There is no ${what} ${JSON.stringify(name)}.`
      : `Several ${what}s are called ${JSON.stringify(name)}: use an id (${found.map((each) => each.id).join(', ')}).`,
  );
}

/** A party's or key's name as it may be kept. */
export function properName(name: string): string {
  const trimmed = name.trim();
  if (trimmed.length === 0 || trimmed.length > 200 || /\p{Cc}/u.test(trimmed)) {
    throw new Refusal('A name has 1 to 200 characters and no control characters.');
  }
  return trimmed;
}
