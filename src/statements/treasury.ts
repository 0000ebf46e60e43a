import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { BURN, FEE, PLANS, PROMO, SLA, SLASHED, TREASURY } from '#ledger/chart.ts';
import type { Entry } from '#ledger/entries.ts';
import type { Range } from '#ledger/revenue-reading.ts';

/** What the market itself has, and what is due to be burned. */
export interface TreasuryBalances {
  readonly treasury: Pico;
  /** Set aside by charges and not spent on burns yet. */
  readonly burnDue: Pico;
  /** Spent on burns so far. */
  readonly burned: Pico;
  readonly fees: Pico;
  readonly plans: Pico;
  readonly slashed: Pico;
  /** Credit given away, a debit. */
  readonly promo: Pico;
  /** Credits for missed service levels that the market paid itself, a debit. */
  readonly sla: Pico;
}

/** What moved an account in a month, by kind of entry. */
export interface TreasuryMovement {
  readonly month: string;
  readonly account: string;
  readonly kind: Entry['kind'];
  readonly entries: number;
  readonly amount: Pico;
}

export async function treasuryBalances(database: Database): Promise<TreasuryBalances> {
  const { sql } = database;
  const [accounts, [spent]] = await Promise.all([
    sql<{ id: string; balance: Pico }[]>`select id, balance from accounts where id like 'platform:%'`,
    sql<{ spent: Pico }[]>`select coalesce(sum(spent), 0)::numeric as spent from burns`,
  ]);
  const balances = new Map(accounts.map(({ id, balance }) => [id, balance]));
  const of = (id: string): Pico => balances.get(id) ?? 0n;
  return {
    treasury: of(TREASURY),
    burnDue: of(BURN),
    burned: spent?.spent ?? 0n,
    fees: of(FEE),
    plans: of(PLANS),
    slashed: of(SLASHED),
    promo: of(PROMO),
    sla: of(SLA),
  };
}

/** What raised and lowered the treasury and what is set aside for burns, month by month (UTC). */
export async function treasuryMovements(database: Database, range: Range): Promise<TreasuryMovement[]> {
  const rows = await database.sql<
    { month: string; account: string; kind: Entry['kind']; entries: bigint; amount: Pico }[]
  >`
    select to_char(e.at at time zone 'UTC', 'YYYY-MM') as month, leg.account, e.kind, count(*) as entries,
      sum(leg.amount)::numeric as amount
    from entries e cross join unnest(e.accounts, e.amounts) as leg(account, amount)
    where e.at >= ${new Date(range.from)} and e.at < ${new Date(range.to)} and leg.account in (${TREASURY}, ${BURN})
    group by 1, 2, 3 order by 1, 2, 3`;
  return rows.map((row) => ({ ...row, entries: Number(row.entries) }));
}
