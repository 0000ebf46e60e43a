import { Sender } from '#chain/client.ts';
import { AddressTree, xpubOf } from '#chain/derived-address.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import type { Database } from '#db/database.ts';
import type { Once } from '#db/round-terms.ts';
import type { SplitPolicy } from '#domain/policy.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import type { Sealed } from '#kit/sealed.ts';
import { Burns } from './burns.ts';
import type { CardDesk, CardSettings } from './card.ts';
import { Collateral, type CollateralChain } from './collateral.ts';
import { CryptoDeposits } from './crypto-deposits.ts';
import { DepositAddresses } from './deposit-addresses.ts';
import { type DepositTerms, termsUnder } from './deposit-rules.ts';
import { Deposits } from './deposits.ts';
import { PlanFees } from './plan-fees.ts';
import type { SlashLadder } from './slash.ts';
import { Wallets } from './wallets.ts';

/** Money in and out, as a market has it. What its operator did not set up is undefined. */
export interface Funds {
  readonly terms: DepositTerms;
  readonly deposits: Deposits;
  readonly planFees: PlanFees;
  readonly collateral: Collateral;
  readonly collateralRequired: boolean;
  readonly burns: Burns;
  readonly wallets: Wallets;
  readonly card: CardDesk | undefined;
  readonly crypto:
    | { readonly chain: MarketChain; readonly addresses: DepositAddresses; readonly watcher: CryptoDeposits }
    | undefined;
}

export interface FundsSettings {
  readonly depositXpub: string | undefined;
  readonly stripeKey: Sealed<string> | undefined;
  readonly stripeWebhookSecret: Sealed<string> | undefined;
  readonly stripeApi: CardSettings['api'] | undefined;
  readonly publicUrl: string;
  readonly collateralRequired: boolean;
  /** Of the chain that wallets are on, where this market has opened none. */
  readonly chainId?: number;
}

/** Swan Chain, where wallets are unless the market says otherwise. */
const SWAN_CHAIN = 254;

/** How long a transaction waits in no block before it offers more. */
const REPLACE_AFTER_MS = 120_000;

export async function openFunds(parts: {
  database: Database;
  chain: MarketChain | undefined;
  settings: FundsSettings;
  /** How payments are shared out: it bounds what is given on top of deposits. */
  policy: SplitPolicy;
  /** What failures take; the usual one when absent. */
  ladder?: SlashLadder;
  clock: Clock;
  random: Randomness;
  makeId: IdMaker;
  log: Logger;
}): Promise<Funds> {
  const { database, chain: market, settings, clock, random, makeId, log } = parts;
  const terms = termsUnder(parts.policy);
  return {
    terms,
    deposits: new Deposits({ database, clock, terms }),
    planFees: new PlanFees({ database, clock, log }),
    collateral: new Collateral({
      database,
      chain: market && pledgedOn(market, { database, clock }),
      clock,
      makeId,
      log,
      ...(parts.ladder && { ladder: parts.ladder }),
    }),
    collateralRequired: settings.collateralRequired,
    burns: new Burns({ database, chain: market, clock }),
    wallets: new Wallets({
      database,
      chain: market?.chain,
      chainId: market?.chain.id ?? settings.chainId ?? SWAN_CHAIN,
      market: settings.publicUrl,
      clock,
      random,
    }),
    card: await cardDesk(settings, { database, clock, makeId, log }),
    crypto: market && crypto(settings, { database, market, terms, clock, log }),
  };
}

/** The key that consumers' addresses come from: the operator's, or a local chain's own. */
export function addressTree(settings: FundsSettings, market: MarketChain): AddressTree | undefined {
  const xpub = settings.depositXpub ?? (market.depositKey && xpubOf(market.depositKey));
  return xpub === undefined ? undefined : new AddressTree(xpub);
}

function crypto(
  settings: FundsSettings,
  parts: { database: Database; market: MarketChain; terms: DepositTerms; clock: Clock; log: Logger },
): Funds['crypto'] {
  const { database, market, terms, clock, log } = parts;
  const tree = addressTree(settings, market);
  if (!tree || market.assets.length === 0) return undefined;
  return {
    chain: market,
    addresses: new DepositAddresses({ database, tree, clock }),
    watcher: new CryptoDeposits({
      database,
      chain: market.chain,
      tree,
      assets: market.assets,
      confirmations: market.depositConfirmations,
      firstBlock: market.firstBlock,
      terms,
      clock,
      log,
    }),
  };
}

/** The contract of a chain as collateral needs it; undefined where the chain has none. */
export function pledgedOn(
  market: MarketChain,
  { database, clock }: { database: Database; clock: Clock },
): CollateralChain | undefined {
  const {
    chain,
    collateral: contract,
    assets,
    confirmations,
    firstBlock,
    operatorKey,
    maxFeePerGas,
  } = market;
  if (!contract) return undefined;
  const sender =
    operatorKey &&
    new Sender({
      chain,
      store: new TransactionTable(database),
      key: operatorKey,
      clock,
      settings: { confirmations, maxFeePerGas, replaceAfterMs: REPLACE_AFTER_MS },
      beforeFinal: () => market.persist(),
    });
  return { chain, contract, assets, confirmations, firstBlock, sender };
}

/** Stripe's library is large: it is loaded where cards are taken, and nowhere else. */
async function cardDesk(
  settings: FundsSettings,
  parts: { database: Database; clock: Clock; makeId: IdMaker; log: Logger },
): Promise<CardDesk | undefined> {
  const { stripeKey: secretKey, stripeWebhookSecret: webhookSecret, stripeApi: api } = settings;
  if (!secretKey || !webhookSecret) return undefined;
  const { CardDesk } = await import('./card.ts');
  const returnUrl = `${settings.publicUrl}/billing`;
  return new CardDesk({ ...parts, settings: { secretKey, webhookSecret, returnUrl, ...(api && { api }) } });
}

const CHAIN_EVERY_MS = 5_000;
const BALANCES_EVERY_MS = 60_000;

/** What runs by itself while a market is open. What stands still is an error line of the log, for an alarm to hear. */
export function openFundsRounds(
  funds: Funds,
  { clock, log, once = (_name, work) => work() }: { clock: Clock; log: Logger; once?: Once },
): { close(): Promise<void> } {
  const failed = (error: unknown): void => {
    if (error instanceof Fault && (error.code === 'chain-reorganised' || error.code === 'internal')) {
      log.error({ err: error }, 'Deposits stand still: a person must look.');
    } else {
      log.warn({ err: error }, 'A round of deposits failed; it will be tried again.');
    }
  };
  const rounds = [
    new Rounds(clock, {
      periodMs: CHAIN_EVERY_MS,
      work: async () => {
        await once('chain', async () => {
          await funds.crypto?.watcher.round();
          await funds.collateral.round();
        });
      },
      failed,
    }),
    new Rounds(clock, {
      periodMs: BALANCES_EVERY_MS,
      work: async () => {
        await once('balances', async () => {
          await funds.planFees.round();
          await funds.card?.collect();
          if (!funds.collateralRequired) return;
          const { suspended, restored } = await funds.collateral.enforce();
          if (suspended.length + restored.length > 0) {
            log.info({ suspended, restored }, 'Collateral changed who may serve.');
          }
        });
      },
      failed,
    }),
  ];
  return {
    close: async () => {
      await Promise.all(rounds.map((each) => each.close()));
    },
  };
}
