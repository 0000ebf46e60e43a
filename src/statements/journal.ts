import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { FEE } from '#ledger/chart.ts';
import type { Entry } from '#ledger/entries.ts';
import type { Range } from '#ledger/revenue-reading.ts';
import { type Cell, csvOf } from './csv.ts';

/**
 * The accountant's export: every leg of every entry of a range, in the order in which they were written, as a double-entry
 * journal. It ends with what each category and all of it add up to; debits and credits are equal. It is read page by page up to
 * an entry that was the newest when it began, so it fits in memory whatever its length, and the same range gives the same
 * bytes as long as nothing is written into it late.
 *
 * Categories, by leg:
 *   fee         the market's fee of charges, and fees of plans
 *   receipt     dollars that came in
 *   conversion  tokens that came in and were credited in dollars; dollars that were spent to burn tokens
 *   payout      money that left: to providers' wallets, and back to consumers and providers
 *   transfer    everything else: between accounts of this ledger
 */
export type Category = 'fee' | 'receipt' | 'conversion' | 'payout' | 'transfer';

const BY_KIND: Partial<Record<Entry['kind'], Category>> = {
  'plan-fee': 'fee',
  deposit: 'receipt',
  collateral: 'receipt',
  reinstatement: 'receipt',
  burn: 'conversion',
  payout: 'payout',
  'payout-revoked': 'payout',
  claim: 'payout',
  withdrawal: 'payout',
  reversal: 'payout',
  'collateral-refund': 'payout',
};

/** The category of a leg. `asset` is what the money was in; null: dollars. */
export function categoryOf(kind: Entry['kind'], account: string, asset: string | null): Category {
  if ((kind === 'charge' || kind === 'correction') && account === FEE) return 'fee';
  if (kind === 'deposit' && asset !== null) return 'conversion';
  return BY_KIND[kind] ?? 'transfer';
}

/** Small pages: a table of ten thousand rows takes longer to write than a stream of tokens may stand still. */
const ENTRIES_AT_ONCE = 200;
const COLUMNS = [
  'seq',
  'at',
  'entry',
  'kind',
  'category',
  'account',
  'debit_usd',
  'credit_usd',
  'asset',
  'units',
];

/** The export as CSV, piece by piece. */
export async function* journalCsv(database: Database, range: Range): AsyncGenerator<string> {
  const { first, last } = await boundsOf(database, range);
  const totals = new Map<Category, { debit: Pico; credit: Pico }>();
  const all = { debit: 0n, credit: 0n };
  yield csvOf([COLUMNS]);
  for (let next = first; next <= last; ) {
    const page = await pageOf(database, range, { next, last });
    const final = page.at(-1);
    if (!final) break;
    next = final.seq + 1n;
    const rows: Cell[][] = [];
    for (const entry of page) {
      const asset = entry.asset === 'USD' ? null : entry.asset;
      for (const [i, account] of entry.accounts.entries()) {
        const amount = entry.amounts[i] ?? 0n;
        const category = categoryOf(entry.kind, account, asset);
        const [debit, credit] = amount < 0n ? [-amount, 0n] : [0n, amount];
        const total = totals.get(category) ?? { debit: 0n, credit: 0n };
        totals.set(category, { debit: total.debit + debit, credit: total.credit + credit });
        all.debit += debit;
        all.credit += credit;
        rows.push([
          entry.seq.toString(),
          entry.at.toISOString(),
          entry.id,
          entry.kind,
          category,
          account,
          debit === 0n ? null : debit,
          credit === 0n ? null : credit,
          asset,
          asset === null ? null : entry.units,
        ]);
      }
    }
    yield csvOf(rows);
  }
  yield csvOf([
    ...[...totals]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([category, { debit, credit }]) => totalRow(category, debit, credit)),
    totalRow('all', all.debit, all.credit),
  ]);
}

function totalRow(category: string, debit: Pico, credit: Pico): Cell[] {
  return ['total', null, null, null, category, null, debit, credit, null, null];
}

/** The first and the last entry of the range; every entry up to the last is committed. */
async function boundsOf(database: Database, range: Range): Promise<{ first: bigint; last: bigint }> {
  const newest = await database.transaction(async (sql) => {
    // Writers wait for a moment: whatever they write after it has a higher number.
    await sql`set local lock_timeout = '10s'`;
    await sql`lock table entries in share mode`;
    const [row] = await sql<{ seq: bigint }[]>`select seq from entries order by seq desc limit 1`;
    return row?.seq ?? 0n;
  });
  const [row] = await database.sql<{ first: bigint | null; last: bigint | null }[]>`
    select min(seq) as first, max(seq) as last from entries
    where at >= ${new Date(range.from)} and at < ${new Date(range.to)} and seq <= ${newest}`;
  return { first: row?.first ?? 1n, last: row?.last ?? 0n };
}

interface JournalEntry {
  seq: bigint;
  id: string;
  kind: Entry['kind'];
  at: Date;
  accounts: string[];
  amounts: Pico[];
  /** What the money was in outside the ledger, and how many of its smallest units; null where that is dollars. */
  asset: string | null;
  units: string | null;
}

async function pageOf(
  database: Database,
  range: Range,
  { next, last }: { next: bigint; last: bigint },
): Promise<JournalEntry[]> {
  return await database.sql<JournalEntry[]>`
    with page as (
      select seq, id, kind, at, accounts, amounts, memo from entries
      where seq >= ${next} and seq <= ${last} and at >= ${new Date(range.from)} and at < ${new Date(range.to)}
      order by seq limit ${ENTRIES_AT_ONCE}
    )
    select p.seq, p.id, p.kind, p.at, p.accounts, p.amounts,
      case
        when p.kind in ('deposit', 'bonus') then d.asset
        when p.kind = 'burn' then 'SWAN'
        when p.kind in ('payout', 'payout-revoked', 'claim') then 'payout token'
      end as asset,
      case
        when p.kind in ('deposit', 'bonus') then d.units::text
        when p.kind = 'burn' then b.units::text
        when p.kind in ('payout', 'payout-revoked', 'claim') then p.memo->>'units'
      end as units
    from page p
    left join deposits d on p.kind in ('deposit', 'bonus') and d.id = substr(p.id, length(p.kind) + 2)
    left join burns b on p.kind = 'burn' and b.id = substr(p.id, 6)
    order by p.seq`;
}
