import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { SPLIT_POLICIES } from '#domain/policy.ts';
import { ENTRY_SHAPES } from './entry-shapes.ts';

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
 * is the sum of its legs; everything together is zero; what is held is the sum of the leases; an entry touches what its kind
 * may touch, and one party of a sort; each charged request has exactly one charge that takes its amount from its consumer and
 * gives all of it to others, by the policy that it was admitted with, and each correction likewise.
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
    const shapes = Object.entries(ENTRY_SHAPES).flatMap(([kind, legs]) =>
      legs.map(([account, direction]) => ({ kind, account, direction })),
    );
    note(
      'An entry touches what none of its kind does.',
      await sql<Row[]>`
        select p.id as "where", string_agg(p.account || ' ' || p.amount, ', ' order by p.account) as found, p.kind as expected
        from postings p
        left join unnest(
          ${shapes.map(({ kind }) => kind)}::text[], ${shapes.map(({ account }) => account)}::text[],
          ${shapes.map(({ direction }) => direction)}::text[]
        ) as s(kind, account, direction)
          on s.kind = p.kind
            and case when right(s.account, 1) = ':' then starts_with(p.account, s.account) else p.account = s.account end
            and case s.direction when '+' then p.amount > 0 when '-' then p.amount < 0 else true end
        where s.kind is null group by p.seq, p.id, p.kind order by p.seq limit ${LISTED + 1}`,
    );
    note(
      'An entry is of two parties of one sort.',
      await sql<Row[]>`
        select id as "where", string_agg(account, ' ' order by account) as found, 'one of a sort' as expected
        from postings where account not like 'platform:%'
        group by seq, id, split_part(account, ':', 1) having count(*) > 1 order by seq limit ${LISTED + 1}`,
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
    const policies = Object.values(SPLIT_POLICIES);
    note(
      'A request was not shared out by its policy.',
      // Written anew, apart from the code that shares out: what was charged and what was given back of it, together.
      await sql<Row[]>`
        with policies as (
          select * from unnest(
            ${policies.map(({ version }) => version)}::text[], ${policies.map(({ feeBasisPoints }) => feeBasisPoints)}::integer[],
            ${policies.map(({ shares }) => shares.provider)}::integer[], ${policies.map(({ shares }) => shares.treasury)}::integer[],
            ${policies.map(({ shares }) => shares.burn)}::integer[], ${policies.map(({ remainderTo }) => remainderTo)}::text[]
          ) as t(version, fee_bps, provider_bps, treasury_bps, burn_bps, rest_to)
        ), paid as (
          select substr(id, strpos(id, ':') + 1) as request,
            coalesce(sum(amount) filter (where account = 'platform:fee'), 0) as fee,
            coalesce(sum(amount) filter (where account like 'provider:%'), 0) as provider,
            coalesce(sum(amount) filter (where account = 'platform:treasury'), 0) as treasury,
            coalesce(sum(amount) filter (where account = 'platform:burn'), 0) as burn
          from postings where kind in ('charge', 'correction') group by 1
        ), due as (
          select u.id, u.policy, u.charge + u.covered - coalesce(c.refund + c.covered_refund, 0) as gross
          from usage u left join corrections c on c.request_id = u.id where u.charge > 0 or u.covered > 0
        ), net as (
          select d.id, d.gross, p.*, div(d.gross * p.fee_bps, 10000) as fee, d.gross - div(d.gross * p.fee_bps, 10000) as net
          from due d left join policies p on p.version = d.policy
        ), parts as (
          select *, div(net * provider_bps, 10000) as provider, div(net * treasury_bps, 10000) as treasury,
            div(net * burn_bps, 10000) as burn from net
        ), shared as (
          select *, net - provider - treasury - burn as rest from parts
        )
        select 'charge:' || s.id as "where", concat_ws(' ', p.fee, p.provider, p.treasury, p.burn) as found,
          concat_ws(' ', s.fee, s.provider, s.treasury, s.burn, 'and', s.rest, 'to', s.rest_to) as expected
        from shared s join paid p on p.request = s.id
        where p.fee is distinct from s.fee
          or p.provider is distinct from s.provider + case when s.rest_to = 'provider' then s.rest else 0 end
          or p.treasury is distinct from s.treasury + case when s.rest_to = 'treasury' then s.rest else 0 end
          or p.burn is distinct from s.burn + case when s.rest_to = 'burn' then s.rest else 0 end
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
