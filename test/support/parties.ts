import type { Database } from '#db/database.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import type { ProviderState } from '#domain/party.ts';
import { createConsumer } from '#identity/consumers.ts';
import { type KeyKind, keepKey, makeKey } from '#identity/keys.ts';
import { createProvider } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Book } from '#ledger/book.ts';

export { setPlan } from '#identity/consumers.ts';

// Who trades in a test, made straight in the database as the operator's commands make them.

export interface TestParty {
  readonly id: string;
  readonly key: string;
  readonly keyId: string;
}

export interface TestModel {
  category: 'llm' | 'multimodal';
  readonly id: string;
  readonly slug: string;
  readonly inputPico: Pico;
  readonly outputPico: Pico;
}

export const makeId = idMaker(systemClock, systemRandomness);

/** The ledger as an operator's command opens it. */
export function operatorsBook(database: Database): Book {
  return new Book({ database, instance: 'operator', clock: systemClock, log: silentLog });
}

/** A consumer with a key and, in pico-dollars, credit. */
export async function makeConsumer(database: Database, credit: Pico = parseUsd('5')): Promise<TestParty> {
  const id = makeId('con');
  await createConsumer(database, { id, name: id, at: systemClock.wallMs() });
  if (credit > 0n) await operatorsBook(database).grant(id, credit, `grant_${id}`);
  return { id, ...(await makeKeyOf(database, 'consumer', id)) };
}

/** A provider with a key; active unless said otherwise. */
export async function makeProvider(database: Database, state: ProviderState = 'active'): Promise<TestParty> {
  const id = makeId('prov');
  await createProvider(database, { id, name: id, state, at: systemClock.wallMs() });
  return { id, ...(await makeKeyOf(database, 'provider', id)) };
}

export async function makeKeyOf(
  database: Database,
  kind: KeyKind,
  ownerId: string,
): Promise<{ key: string; keyId: string }> {
  const { secret, prefix, hash } = makeKey(kind, systemRandomness);
  const id = makeId('key');
  await keepKey(database, { id, kind, ownerId, name: 'test', prefix, hash, at: systemClock.wallMs() });
  return { key: secret.open(), keyId: id };
}

/** Every language model of the catalogue but the shipped one, with the price in force. */
export async function chatModels(database: Database): Promise<TestModel[]> {
  return [
    ...(await database.sql<TestModel[]>`
      select m.id, m.slug, m.category, p.input_pico as "inputPico", p.output_pico as "outputPico"
      from models m join prices p on p.model_id = m.id
      where m.category in ('llm', 'multimodal') and m.id not like 'cygnet/%' order by m.id`),
  ];
}
