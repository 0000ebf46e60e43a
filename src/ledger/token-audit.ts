import type { Database } from '#db/database.ts';
import type { Difference } from './audit.ts';

const LISTED = 100;

/**
 * Rebuilds every balance of every token from its entries and compares, on one snapshot; and compares each reward that was
 * kept with its entry, and the reverse, and what is locked with the days that are not due.
 */
export async function auditTokens(database: Database): Promise<Difference[]> {
  return await database.transaction(async (sql) => {
    await sql`set transaction isolation level repeatable read, read only`;
    await sql`set local statement_timeout = '10min'`;
    type Row = { where: string; found: bigint | string | null; expected: bigint | string | null };
    const differences: Difference[] = [];
    const note = (what: string, rows: Iterable<Row>): void => {
      for (const { where, found, expected } of rows) {
        differences.push({ what, where, found: String(found), expected: String(expected) });
      }
    };
    note(
      'All balances of a token together are not zero.',
      await sql<Row[]>`
        select asset as "where", sum(balance) as found, 0::numeric as expected
        from token_accounts group by asset having sum(balance) <> 0`,
    );
    note(
      'A balance of a token is not the sum of its entries.',
      await sql<Row[]>`
        with rebuilt as (select asset, account, sum(amount) as balance from token_postings group by asset, account)
        select coalesce(a.asset, r.asset) || ' ' || coalesce(a.id, r.account) as "where", a.balance as found,
          coalesce(r.balance, 0) as expected
        from token_accounts a full join rebuilt r on r.asset = a.asset and r.account = a.id
        where a.balance is distinct from coalesce(r.balance, 0)
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'A reward and its entry differ.',
      await sql<Row[]>`
        select coalesce('reward:' || s.day || ':' || s.provider_id, e.id) as "where",
          e.liquid || ' and ' || e.locked as found, s.liquid || ' and ' || s.locked as expected
        from (select * from reward_shares where liquid + locked > 0) s
        full join (
          select id, coalesce(sum(amount) filter (where account like 'provider:%'), 0) as liquid,
            coalesce(sum(amount) filter (where account like 'vesting:%'), 0) as locked
          from token_postings where kind = 'reward' group by id
        ) e on e.id = 'reward:' || s.day || ':' || s.provider_id
        where e.liquid is distinct from s.liquid or e.locked is distinct from s.locked
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'What is locked is not what is not due.',
      await sql<Row[]>`
        select coalesce(a.id, d.id) as "where", coalesce(a.balance, 0) as found, coalesce(d.locked, 0) as expected
        from (select id, balance from token_accounts where id like 'vesting:%') a
        full join (
          select 'vesting:' || s.provider_id as id, sum(s.locked) as locked
          from reward_shares s join reward_days r on r.day = s.day
          where r.vested_at is null group by 1
        ) d on d.id = a.id
        where coalesce(a.balance, 0) <> coalesce(d.locked, 0)
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'The shares of a day are not what it gave.',
      await sql<Row[]>`
        select d.day as "where", coalesce(sum(s.liquid + s.locked), 0) as found, d.given as expected
        from reward_days d left join reward_shares s on s.day = d.day
        group by d.day, d.given having coalesce(sum(s.liquid + s.locked), 0) <> d.given
        order by 1 limit ${LISTED + 1}`,
    );
    return differences;
  });
}
