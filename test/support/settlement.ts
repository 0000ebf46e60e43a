import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Sender } from '#chain/client.ts';
import type { Chain } from '#chain/rpc.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import type { TransactionStore } from '#chain/transactions.ts';
import type { Database } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { PICO_PER_USD, type Pico, parseUsd } from '#domain/money.ts';
import { createProvider } from '#identity/providers.ts';
import type { Clock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';
import { writeEntries } from '#ledger/book.ts';
import { writeTokenEntries } from '#ledger/token-book.ts';
import { allotmentEntry, rewardEntry } from '#ledger/token-entries.ts';
import type { PayoutTerms } from '#settlement/batch.ts';
import { Settler } from '#settlement/day.ts';
import { SettlementStore } from '#settlement/store.ts';
import { makeId } from './parties.ts';

/** Settlement of one contract and token, as a process of the market does it; with whatever a test puts in between. */
export function openSettler(parts: {
  database: Database;
  chain: Chain;
  contract: Address;
  token: Address;
  key: Sealed<Hex>;
  clock: Clock;
  confirmations?: number;
  folder: string;
  store?: SettlementStore;
  transactions?: TransactionStore;
  heldBy?: () => Promise<string | undefined>;
  terms?: PayoutTerms;
  makeBlock?: () => Promise<void>;
}): { settler: Settler; store: SettlementStore; sender: Sender } {
  const { database, chain, contract, token, key, clock, folder, confirmations = 1 } = parts;
  const store = parts.store ?? new SettlementStore(database, { chainId: chain.id, contract, token });
  const transactions = parts.transactions ?? new TransactionTable(database);
  const settings = { confirmations, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 };
  const sender = new Sender({ chain, store: transactions, key, clock, settings });
  const terms = parts.terms ?? { minimum: parseUsd('50'), picoPerToken: PICO_PER_USD, decimals: 6 };
  const settler = new Settler({
    store,
    chain,
    sender,
    transactions,
    terms,
    confirmations,
    folder,
    clock,
    log: silentLog,
    heldBy: parts.heldBy,
    ...(parts.makeBlock && { makeBlock: parts.makeBlock }),
  });
  return { settler, store, sender };
}

/** A provider that wants its money at `wallet`. */
export async function providerWith(database: Database, wallet: Address | null, at: number): Promise<string> {
  const id = makeId('prov');
  await createProvider(database, { id, name: id, state: 'active', at });
  if (wallet) await trustWallet(database, { providerId: id, purpose: 'beneficiary', address: wallet, at });
  await database.sql`insert into accounts (id, kind) values (${`provider:${id}`}, 'provider') on conflict do nothing`;
  return id;
}

/** A wallet that is good without a signature, as those are that were noted before signatures were asked for. */
export async function trustWallet(
  database: Database,
  about: { providerId: string; purpose: 'owner' | 'beneficiary'; address: Address; at: number },
): Promise<void> {
  const { providerId, purpose, address, at } = about;
  await database.sql`
    update providers set
      owner_address = case when ${purpose} = 'owner' then ${address} else owner_address end,
      beneficiary_address = case when ${purpose} = 'owner' then beneficiary_address else ${address} end
    where id = ${providerId}`;
  await database.sql`
    insert into wallet_proofs (nonce, provider_id, purpose, address, kind, message, signature, proven_at)
    values (${makeId('before')}, ${providerId}, ${purpose}, ${address}, 'before', '', '0x', ${new Date(at)})`;
}

/** Money that a provider earned at an instant, by a charge that no request stands behind. */
export async function earns(database: Database, providerId: string, amount: Pico, at: number): Promise<void> {
  const id = makeId('earned');
  await database.transaction(async (sql) => {
    await writeEntries(sql, [
      {
        id: `charge:${id}`,
        kind: 'charge',
        at,
        legs: [
          { account: `provider:${providerId}`, amount },
          { account: 'platform:cash', amount: -amount },
        ],
        memo: {},
      },
    ]);
  });
}

/** Tokens that a provider was given at an instant, and nothing locked. */
export async function isRewarded(
  database: Database,
  providerId: string,
  units: bigint,
  at: number,
): Promise<void> {
  const day = `${providerId}-1`;
  await database.transaction(async (sql) => {
    await writeTokenEntries(sql, 'SWAN', [
      allotmentEntry({ day, at, pool: units }),
      rewardEntry({ day, at, providerId, liquid: units, locked: 0n }),
    ]);
  });
}

export async function balanceOf(database: Database, account: string): Promise<Pico> {
  const [row] = await database.sql<{ balance: Pico }[]>`select balance from accounts where id = ${account}`;
  return row?.balance ?? 0n;
}

export function claimsFolder(): { folder: string; remove(): void } {
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-claims-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
