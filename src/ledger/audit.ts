import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';

/** What an audit found. */
export interface AuditReport {
  readonly balanced: boolean;
  readonly checkedEntries: number;
  readonly checkedAccounts: number;
  readonly checkedUsage: number;
  /** Records that the ledger refused and a person has to look at. They move no money, so they unbalance nothing. */
  readonly rejectedRecords: number;
  readonly differences: readonly Difference[];
  /** True when there were more differences than are listed. */
  readonly more: boolean;
}

export interface Difference {
  /** What is wrong, as a constant sentence. */
  readonly what: string;
  /** Of which account, entry or request. */
  readonly where: string;
  /** What is in the book, and what it should be. */
  readonly found: string;
  readonly expected: string;
}

const LISTED = 100;

/**
 * Rebuilds every balance from the entries and compares, on one snapshot, while the market goes on: each account's balance
 * is the sum of its legs; everything together is zero; what is held is the sum of the leases; each charged request has
 * exactly one charge that takes its amount from its consumer and gives all of it to others, and each correction likewise.
 * It reads the whole ledger: open the database given here with a deadline of minutes.
 */
export async function audit(database: Database): Promise<AuditReport> {
  return await database.transaction(async (sql) => {
    await sql`set transaction isolation level repeatable read, read only`;
    await sql`set local statement_timeout = '10min'`;
    const differences: Difference[] = [];
    const note = (
      what: string,
      rows: Iterable<{ where: string; found: unknown; expected: unknown }>,
    ): void => {
      for (const { where, found, expected } of rows) {
        if (differences.length <= LISTED)
          differences.push({ what, where, found: String(found), expected: String(expected) });
      }
    };
    type Row = { where: string; found: Pico | string | null; expected: Pico | string | null };

    const [counts] = await sql<
      { entries: bigint; accounts: bigint; usage: bigint; rejected: bigint; total: Pico }[]
    >`
      select
        (select count(*) from entries) as entries,
        (select count(*) from accounts) as accounts,
        (select count(*) from usage) as usage,
        (select count(*) from rejected_usage) as rejected,
        (select coalesce(sum(balance), 0) from accounts) as total`;
    const total = counts?.total ?? 0n;
    if (total !== 0n)
      note('All balances together are not zero.', [{ where: 'accounts', found: total, expected: 0n }]);

    note(
      'A balance is not the sum of its entries.',
      await sql<Row[]>`
        with rebuilt as (select account, sum(amount) as balance from postings group by account)
        select coalesce(a.id, r.account) as "where", a.balance as found, coalesce(r.balance, 0) as expected
        from accounts a full join rebuilt r on r.account = a.id
        where a.balance is distinct from coalesce(r.balance, 0)
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'An entry does not balance.',
      await sql<Row[]>`
        select id as "where", 'legs that do not balance' as found, 'legs that add up to zero' as expected
        from entries where not legs_balance(accounts, amounts) order by seq limit ${LISTED + 1}`,
    );
    note(
      'What is held is not the sum of the leases.',
      await sql<Row[]>`
        with leased as (select 'consumer:' || consumer_id as id, sum(amount) as held from leases group by consumer_id)
        select coalesce(a.id, l.id) as "where", a.held as found, coalesce(l.held, 0) as expected
        from accounts a full join leased l on l.id = a.id
        where coalesce(a.held, -1) <> coalesce(l.held, 0) and not (a.id is null and l.held = 0)
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'A charged request and its charge differ.',
      await sql<Row[]>`
        select coalesce('charge:' || u.id, e.id) as "where", -e.amount as found, u.charge as expected
        from (select * from usage where charge > 0 or covered > 0) u
        full join (
          select id, coalesce(sum(amount) filter (where account like 'consumer:%'), 0) as amount,
            coalesce(sum(amount) filter (where account = 'platform:plans'), 0) as covered,
            max(account) filter (where account like 'consumer:%') as consumer,
            max(account) filter (where account like 'provider:%') as provider
          from postings where kind = 'charge' group by id
        ) e on e.id = 'charge:' || u.id
        where -e.amount is distinct from u.charge
          or -e.covered is distinct from u.covered
          or (u.charge > 0 and e.consumer is distinct from 'consumer:' || u.consumer_id)
          or e.provider <> 'provider:' || u.provider_id
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'A correction and its entry differ.',
      await sql<Row[]>`
        select coalesce('correction:' || c.request_id, e.id) as "where", e.amount as found, c.refund as expected
        from corrections c
        full join (
          select id, coalesce(sum(amount) filter (where account like 'consumer:%'), 0) as amount,
            coalesce(sum(amount) filter (where account = 'platform:plans'), 0) as covered
          from postings where kind = 'correction' group by id
        ) e on e.id = 'correction:' || c.request_id
        where e.amount is distinct from c.refund or e.covered is distinct from c.covered_refund
        order by 1 limit ${LISTED + 1}`,
    );
    return {
      balanced: differences.length === 0,
      checkedEntries: Number(counts?.entries ?? 0n),
      checkedAccounts: Number(counts?.accounts ?? 0n),
      checkedUsage: Number(counts?.usage ?? 0n),
      rejectedRecords: Number(counts?.rejected ?? 0n),
      differences: differences.slice(0, LISTED),
      more: differences.length > LISTED,
    };
  });
}
