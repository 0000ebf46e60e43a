import { Sender } from '#chain/client.ts';
import type { Chain } from '#chain/rpc.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import type { Database, Sql } from '#db/database.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { PICO_PER_USD, parseUsd } from '#domain/money.ts';
import { Collateral } from '#funds/collateral.ts';
import { CryptoDeposits } from '#funds/crypto-deposits.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';
import { Settler } from '#settlement/day.ts';
import { SettlementStore } from '#settlement/store.ts';
import type { MoneySabotage } from './faults.ts';
import type { Actor, Turnstile } from './turnstile.ts';

/** A reorganisation of twelve blocks is survived. */
export const CONFIRMATIONS = 13;
const MINIMUM = parseUsd('50');

/** What every process of a world shares. */
export interface MoneyPlaces {
  readonly database: Database;
  readonly chain: Chain;
  readonly turnstile: Turnstile;
  readonly distributor: Address;
  readonly collateral: Address;
  readonly assets: readonly ChainAsset[];
  readonly operatorKey: Sealed<Hex>;
  readonly folder: string;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly sabotage: MoneySabotage | undefined;
}

/**
 * What one task of a process works with: the product's own rooms, as `src/settlement/open.ts` and `src/funds/open.ts` wire
 * them, on the real database and the world's chain, both behind the turnstile.
 */
export interface MoneyRooms {
  readonly settler: Settler;
  readonly collateral: Collateral;
  readonly deposits: CryptoDeposits;
}

export function openRooms(places: MoneyPlaces, actor: Actor, clock: Clock): MoneyRooms {
  const { sabotage, operatorKey, assets, folder, ids: makeId, log } = places;
  const database = databaseOf(places, actor);
  const chain = chainOf(places, actor);
  const [payout] = assets as readonly [ChainAsset];
  const transactions = new TransactionTable(database);
  const settings = { confirmations: CONFIRMATIONS, maxFeePerGas: 10n ** 13n, replaceAfterMs: 120_000 };
  const senderOn = (): Sender =>
    new Sender({ chain, store: transactions, key: operatorKey, clock, settings });
  const store = new SettlementStore(database, {
    chainId: chain.id,
    contract: places.distributor,
    token: payout.token,
  });
  spoilStore(store, places);
  const settler = new Settler({
    store,
    chain: sabotage === 'promises-what-is-not-funded' ? boastful(chain) : chain,
    sender: senderOn(),
    transactions: sabotage === 'funds-a-batch-twice' ? forgetful(transactions) : transactions,
    terms: { minimum: MINIMUM, picoPerToken: PICO_PER_USD, decimals: payout.decimals },
    confirmations: CONFIRMATIONS,
    folder,
    clock,
    log,
  });
  const slashing = senderOn();
  if (sabotage === 'loses-a-slash-to-a-refund') {
    slashing.knows = async (id) => id.startsWith('slash:');
  }
  const collateral = new Collateral({
    database,
    chain: {
      chain,
      contract: places.collateral,
      assets,
      confirmations: CONFIRMATIONS,
      firstBlock: 0n,
      sender: slashing,
    },
    clock: sabotage === 'refunds-at-once' ? hasty(clock) : clock,
    makeId,
    log,
  });
  const deposits = new CryptoDeposits({
    database,
    chain: sabotage === 'prices-at-another-time' ? timeless(chain) : chain,
    assets,
    confirmations: sabotage === 'credits-what-is-not-deep' ? 1 : CONFIRMATIONS,
    firstBlock: 0n,
    clock,
    log,
  });
  return { settler, collateral, deposits };
}

/** Statements and whole transactions, each of which happens at one moment. What locks do is PostgreSQL's promise. */
function databaseOf({ database, turnstile }: MoneyPlaces, actor: Actor): Database {
  const sql = (strings: TemplateStringsArray, ...values: unknown[]): Promise<unknown> => {
    const [word = ''] = strings.join('?').trim().split(/\s/, 1);
    const what = word === 'select' ? 'database' : 'commit';
    return turnstile.pass(actor, what, async () => await database.sql(strings, ...(values as never[])));
  };
  return {
    ...database,
    sql: sql as unknown as Sql,
    transaction: (work) => turnstile.pass(actor, 'commit', () => database.transaction(work)),
  };
}

function chainOf({ chain, turnstile }: MoneyPlaces, actor: Actor): Chain {
  return new Proxy(chain, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) =>
        turnstile.pass(actor, String(name), async () => await Reflect.apply(value, target, args));
    },
  });
}

// --- how to break it -------------------------------------------------------------------------------------------------

function spoilStore(store: SettlementStore, { sabotage }: MoneyPlaces): void {
  if (sabotage === 'pays-what-was-paid') {
    const owedBy = store.owedBy.bind(store);
    store.owedBy = async (cut, at) => {
      const owed = await owedBy(cut, at);
      const before = await store.promisedBy(1_000_000);
      return owed.map((one) => ({
        ...one,
        owed: one.owed + (before.get(one.wallet ?? '0x') ?? 0n) * 1_000_000n,
      }));
    };
  }
  if (sabotage === 'loses-a-claim') {
    const note = store.note.bind(store);
    store.note = (from, read) => note(from, { ...read, claims: read.claims.slice(1) });
  }
}

/** Says that the distributor has more than it has. */
function boastful(chain: Chain): Chain {
  return otherwise(chain, {
    read: async (question, at) => (question.name === 'funded' ? 10n ** 30n : await chain.read(question, at)),
  });
}

/** Says that blocks are of another time than they are. */
function timeless(chain: Chain): Chain {
  return otherwise(chain, {
    block: async (number) => {
      const block = await chain.block(number);
      return block && { ...block, timestamp: block.timestamp + 4n * 86_400n };
    },
  });
}

/** Forgets that it funded. */
function forgetful(transactions: TransactionTable): TransactionTable {
  return otherwise(transactions, {
    find: async (id) => {
      const found = await transactions.find(id);
      return found && id.startsWith('fund:') ? { ...found, outcome: { status: 'reverted' } } : found;
    },
  });
}

/** Lets eight days pass between one look and the next. */
function hasty(clock: Clock): Clock {
  let looks = 0;
  return otherwise(clock, { wallMs: () => clock.wallMs() + ++looks * 8 * 86_400_000 });
}

/** The same object, but for some of its methods. */
function otherwise<T extends object>(object: T, methods: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      const value: unknown = Reflect.get(name in methods ? methods : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
