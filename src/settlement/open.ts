import path from 'node:path';
import { Sender } from '#chain/client.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import type { Database } from '#db/database.ts';
import { PICO_PER_USD, type Pico } from '#domain/money.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { PayoutTerms } from './batch.ts';
import { ClaimsDesk } from './claims-desk.ts';
import { Settler } from './day.ts';
import { tokenBook } from './payout-book.ts';
import { SettlementStore } from './store.ts';

/** The ledger counts SWAN in units of 10⁻¹⁸; a token that counts otherwise is another one. */
const BOOKED_DECIMALS = 18;
/** How long a transaction waits in no block before it offers more. */
const REPLACE_AFTER_MS = 120_000;

/** What a settlement is opened with. */
export interface SettlementRoomParts {
  readonly database: Database;
  readonly chain: MarketChain;
  readonly minimum: Pico;
  readonly dataFolder: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Why nothing may be paid out now; see `Settler`. */
  readonly heldBy?: () => Promise<string | undefined>;
}

export interface SettlementRoom {
  readonly store: SettlementStore;
  readonly desk: ClaimsDesk;
  /** Undefined without the operator's key: then this process pays nobody. */
  readonly settler: Settler | undefined;
  readonly decimals: number;
}

/** The room as a market has it: payouts in a dollar token, one dollar of balance for one token. */
export function openSettlement(parts: SettlementRoomParts): SettlementRoom {
  const { chain, minimum } = parts;
  const { decimals } = chain.payoutToken;
  const store = new SettlementStore(parts.database, payoutScope(chain));
  return roomOf(parts, store, { minimum, picoPerToken: PICO_PER_USD, decimals });
}

/**
 * The same room for rewards: out of the ledger of SWAN, unit for unit, through the same contract. Undefined where the market
 * has no SWAN of 18 decimals on its chain, or pays dollars out in it: one series of batches cannot come out of two ledgers.
 */
export function openRewardSettlement(
  parts: Omit<SettlementRoomParts, 'minimum'>,
): SettlementRoom | undefined {
  const store = rewardStore(parts.database, parts.chain);
  const decimals = swanOf(parts.chain)?.decimals;
  if (!store || decimals === undefined) return undefined;
  const unitsPerToken = 10n ** BigInt(decimals);
  // Less than a whole token waits: each batch costs the operator's gas, and each claim the provider's.
  return roomOf(parts, store, { minimum: unitsPerToken, picoPerToken: unitsPerToken, decimals });
}

/** Undefined where rewards are not settled (see `openRewardSettlement`). */
export function rewardStore(database: Database, chain: MarketChain): SettlementStore | undefined {
  const swan = swanOf(chain);
  if (!swan || swan.decimals !== BOOKED_DECIMALS || swan.token === chain.payoutToken.address)
    return undefined;
  return new SettlementStore(database, { ...payoutScope(chain), token: swan.token }, tokenBook('SWAN'));
}

const swanOf = (chain: MarketChain) => chain.assets.find(({ asset }) => asset === 'SWAN');

function payoutScope({ chain, distributor, payoutToken }: MarketChain) {
  return { chainId: chain.id, contract: distributor, token: payoutToken.address };
}

function roomOf(
  parts: Omit<SettlementRoomParts, 'minimum'>,
  store: SettlementStore,
  terms: PayoutTerms,
): SettlementRoom {
  const { database, chain: market, clock, log } = parts;
  const { chain, operatorKey, confirmations, firstBlock, maxFeePerGas } = market;
  const folder = path.join(parts.dataFolder, 'claims');
  const desk = new ClaimsDesk({ store, folder });
  const { decimals } = terms;
  if (!operatorKey) return { store, desk, settler: undefined, decimals };
  const transactions = new TransactionTable(database);
  const persist = (): Promise<void> => market.persist();
  const sender = new Sender({
    chain,
    store: transactions,
    key: operatorKey,
    clock,
    settings: { confirmations, maxFeePerGas, replaceAfterMs: REPLACE_AFTER_MS },
    beforeFinal: persist,
  });
  const settler = new Settler({
    store,
    chain,
    sender,
    transactions,
    terms,
    confirmations,
    firstBlock,
    folder,
    clock,
    log,
    beforeFinal: persist,
    heldBy: parts.heldBy,
    ...(market.isLocal && { makeBlock: () => market.pass(0) }),
  });
  return { store, desk, settler, decimals };
}
