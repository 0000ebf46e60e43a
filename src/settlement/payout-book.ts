import type { Sql } from '#db/database.ts';
import type { Address } from '#domain/hex.ts';
import { writeEntries } from '#ledger/book.ts';
import type { Entry } from '#ledger/entries.ts';
import { type BookedToken, writeTokenEntries } from '#ledger/token-book.ts';
import type { TokenEntryKind } from '#ledger/token-entries.ts';

/**
 * The ledger that a settlement pays out of: that of dollars, which become tokens at their price, or that of a token, which is
 * paid unit for unit. The way from there to a wallet is the same.
 */
export interface PayoutBook {
  readonly asset: 'USD' | BookedToken;
  /** Until the transaction ends, nobody writes entries. */
  lock(sql: Sql): Promise<unknown>;
  /** The sequence of the newest entry that is labelled before an instant, among those after another. */
  newest(sql: Sql, window: { after: bigint; before: Date }): Promise<bigint | undefined>;
  /** What each provider is owed by the entries up to `cut`, less everything that was ever paid out; with the wallet that counts at `at`. */
  owedBy(
    sql: Sql,
    cut: bigint,
    at: number,
  ): Promise<{ provider: string; owed: bigint; wallet: Address | null }[]>;
  /** Writes entries of payouts and claims. */
  write(sql: Sql, entries: readonly Entry[]): Promise<void>;
}

export const dollarBook: PayoutBook = {
  asset: 'USD',
  lock: (sql) => sql`lock table entries in share mode`,
  newest: async (sql, { after, before }) => {
    const [row] = await sql<{ seq: bigint }[]>`
      select seq from entries where seq > ${after} and at < ${before} order by seq desc limit 1`;
    return row?.seq;
  },
  owedBy: async (sql, cut, at) =>
    await sql<{ provider: string; owed: bigint; wallet: Address | null }[]>`
      select substr(a.id, 10) as provider, (a.balance - coalesce(later.amount, 0)) as owed,
        payout_wallet(substr(a.id, 10), ${new Date(at)}) as wallet
      from accounts a
      left join (
        select account, sum(amount) as amount from postings
        where seq > ${cut} and account like 'provider:%' and kind not in ('payout', 'payout-revoked')
        group by account
      ) later on later.account = a.id
      where a.kind = 'provider' and a.balance - coalesce(later.amount, 0) <> 0`,
  write: async (sql, entries) => {
    await writeEntries(sql, entries);
  },
};

export function tokenBook(asset: BookedToken): PayoutBook {
  return {
    asset,
    lock: (sql) => sql`lock table token_entries in share mode`,
    newest: async (sql, { after, before }) => {
      const [row] = await sql<{ seq: bigint }[]>`
        select seq from token_entries where asset = ${asset} and seq > ${after} and at < ${before}
        order by seq desc limit 1`;
      return row?.seq;
    },
    owedBy: async (sql, cut, at) =>
      await sql<{ provider: string; owed: bigint; wallet: Address | null }[]>`
        select substr(a.id, 10) as provider, (a.balance - coalesce(later.amount, 0)) as owed,
          payout_wallet(substr(a.id, 10), ${new Date(at)}) as wallet
        from token_accounts a
        left join (
          select account, sum(amount) as amount from token_postings
          where asset = ${asset} and seq > ${cut} and account like 'provider:%'
            and kind not in ('payout', 'payout-revoked')
          group by account
        ) later on later.account = a.id
        where a.asset = ${asset} and a.id like 'provider:%' and a.balance - coalesce(later.amount, 0) <> 0`,
    write: (sql, entries) =>
      writeTokenEntries(
        sql,
        asset,
        entries.map((each) => ({ ...each, kind: each.kind as TokenEntryKind })),
      ),
  };
}
