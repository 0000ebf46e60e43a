import { addressOf } from '#chain/local-chain.ts';
import { signText } from '#chain/wallet-signature.ts';
import type { Config } from '#config/config.ts';
import type { Database } from '#db/database.ts';
import type { Hex } from '#domain/hex.ts';
import { least, parseUsd } from '#domain/money.ts';
import { Wallets } from '#funds/wallets.ts';
import { PLAYGROUND } from '#gateway/playground.ts';
import { consumersNamed, createConsumer } from '#identity/consumers.ts';
import { keepKey, listKeys, makeKey, revokeKey } from '#identity/keys.ts';
import { createProvider, providersNamed } from '#identity/providers.ts';
import { assert } from '#kit/assert.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { Book } from '#ledger/book.ts';
import { boughtWith } from '#ledger/usage-list.ts';

/**
 * Who `cygnet start` works for: the consumer `demo`, who gets some credit once, and the provider `demo`, whose agent runs
 * beside the market. Each start makes fresh keys for both, since only hashes of the old ones are kept; keys of earlier
 * starts that were never used are revoked, those that were stay valid.
 */
export async function demoParties(parts: {
  config: Config;
  database: Database;
  clock: Clock;
  log: Logger;
  makeId: IdMaker;
  randomness: Randomness;
  /** The demo provider's, where there is one. */
  wallet?: Sealed<Hex> | undefined;
}): Promise<{
  consumerId: string;
  consumerKey: Sealed<string>;
  providerKey: Sealed<string>;
  firstTime: boolean;
}> {
  const { config, database, clock, log, makeId } = parts;
  const at = clock.wallMs();
  const [known] = await consumersNamed(database, NAME);
  const consumerId = known?.id ?? makeId('cons');
  if (!known) await createConsumer(database, { id: consumerId, name: NAME, at });
  const book = new Book({ database, instance: 'operator', clock, log });
  // Asked of the ledger, not of `known`: a first start may have been interrupted in between.
  const untouched = (await book.statement(consumerId, 1)).length === 0;
  if (untouched) await book.grant(consumerId, config.money.demoCredit, `grant_${consumerId}`);

  // So that the playground answers too. Given once: what strangers have used up is the operator's to refill.
  const { ownerId: playground } = PLAYGROUND;
  if (config.playground.enabled && (await book.statement(playground, 1)).length === 0)
    await book.grant(playground, least(config.money.demoCredit, PLAYGROUND_CREDIT), `grant_${playground}`);

  const [provider] = await providersNamed(database, NAME);
  const providerId = provider?.id ?? makeId('prov');
  if (!provider) await createProvider(database, { id: providerId, name: NAME, state: 'active', at });
  if (parts.wallet) await payTo(parts, providerId, parts.wallet);
  return {
    consumerId,
    consumerKey: await freshKey(parts, 'consumer', consumerId),
    providerKey: await freshKey(parts, 'provider', providerId),
    firstTime: untouched,
  };
}

/** The demo wallet proves itself to be where the demo provider is paid, once. */
async function payTo(
  parts: { config: Config; database: Database; clock: Clock; randomness: Randomness },
  providerId: string,
  wallet: Sealed<Hex>,
): Promise<void> {
  const { config, database, clock, randomness: random } = parts;
  const address = addressOf(wallet);
  const { publicUrl: market } = config.funds;
  const { chainId } = config.chain;
  const wallets = new Wallets({ database, chain: undefined, chainId, market, clock, random });
  const { payout, next } = await wallets.standing(providerId);
  if (payout === address || next?.address === address) return;
  const { nonce, message } = await wallets.challenge({ providerId, purpose: 'beneficiary', address });
  await wallets.prove({ providerId, nonce, signature: await signText(wallet, message), actor: 'cli' });
}

const NAME = 'demo';
const PLAYGROUND_CREDIT = parseUsd('1');
const KEY_NAME = 'start';
const KEYS_LOOKED_AT = 1_000;

/** A key for whom `cygnet start` works for; those of earlier starts that nobody can use are revoked. */
export async function freshKey(
  parts: { database: Database; clock: Clock; makeId: IdMaker; randomness: Randomness },
  kind: 'consumer' | 'provider',
  ownerId: string,
): Promise<Sealed<string>> {
  const { database, clock } = parts;
  const at = clock.wallMs();
  for (const key of await listKeys(database, { ownerId, limit: KEYS_LOOKED_AT })) {
    const ours = key.name === KEY_NAME && key.revokedAt === null;
    if (!ours) continue;
    // Nobody else can have the provider's key: it went to the agent of that start and nowhere else. Of a consumer's key,
    // the day of use is noted once a minute; whether it bought something is certain.
    const { id, createdAt } = key;
    const inUse =
      kind === 'consumer' &&
      (key.lastUsedOn !== null ||
        (await boughtWith(database, { keyId: id, consumerId: ownerId, since: createdAt })));
    if (!inUse) await revokeKey(database, { id, at });
  }
  const { secret, prefix, hash } = makeKey(kind, parts.randomness);
  const kept = await keepKey(database, {
    id: parts.makeId('key'),
    kind,
    ownerId,
    name: KEY_NAME,
    prefix,
    hash,
    at,
  });
  assert(kept === 'kept', 'the owner of a fresh key exists');
  return secret;
}
