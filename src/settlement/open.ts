import path from 'node:path';
import { Sender } from '#chain/client.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import type { Database } from '#db/database.ts';
import { PICO_PER_USD, type Pico } from '#domain/money.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { ClaimsDesk } from './claims-desk.ts';
import { Settler } from './day.ts';
import { SettlementStore } from './store.ts';

/** How long a transaction waits in no block before it offers more. */
const REPLACE_AFTER_MS = 120_000;

/** The room as a market has it: payouts in a dollar token, one dollar of balance for one token. */
export function openSettlement(parts: {
  database: Database;
  chain: MarketChain;
  minimum: Pico;
  dataFolder: string;
  clock: Clock;
  log: Logger;
}): {
  store: SettlementStore;
  desk: ClaimsDesk;
  /** Undefined without the operator's key: then this process pays nobody. */
  settler: Settler | undefined;
} {
  const { database, chain: market, minimum, clock, log } = parts;
  const { chain, distributor, payoutToken, operatorKey, confirmations, firstBlock, maxFeePerGas } = market;
  const folder = path.join(parts.dataFolder, 'claims');
  const store = new SettlementStore(database, {
    chainId: chain.id,
    contract: distributor,
    token: payoutToken.address,
  });
  const desk = new ClaimsDesk({ store, folder });
  if (!operatorKey) return { store, desk, settler: undefined };
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
    terms: { minimum, picoPerToken: PICO_PER_USD, decimals: payoutToken.decimals },
    confirmations,
    firstBlock,
    folder,
    clock,
    log,
    beforeFinal: persist,
    ...(market.isLocal && { makeBlock: () => market.pass(0) }),
  });
  return { store, desk, settler };
}
