import type { Database } from '#db/database.ts';
import type { Difference } from '#ledger/audit.ts';

const LISTED = 100;

/**
 * Whether credits are their reports: each report with a credit has one entry, to its consumer, of its amount, which stakes and
 * the market paid as it says; each entry has its report; what a report charged of a pledge is a move of that pledge; and what
 * was taken goes back to it, out of what the market bears, when an appeal was granted and only then.
 */
export async function auditAgreements(database: Database): Promise<Difference[]> {
  type Row = { where: string; found: unknown; expected: unknown };
  return await database.transaction(async (sql) => {
    await sql`set transaction isolation level repeatable read, read only`;
    await sql`set local statement_timeout = '10min'`;
    const differences: Difference[] = [];
    const note = (what: string, rows: Iterable<Row>): void => {
      for (const { where, found, expected } of rows) {
        differences.push({ what, where, found: String(found), expected: String(expected) });
      }
    };
    note(
      'A credit and its report differ.',
      await sql<Row[]>`
        select coalesce('sla-credit:' || r.consumer_id || ':' || r.month, e.id) as "where",
          e.amount::text || ' to ' || e.account as found, r.credit::text || ' to consumer:' || r.consumer_id as expected
        from (select * from sla_reports where credit > 0) r
        full join (
          select id, account, amount from postings where kind = 'sla-credit' and account like 'consumer:%'
        ) e on e.id = 'sla-credit:' || r.consumer_id || ':' || r.month
        where e.amount is distinct from r.credit or e.account is distinct from 'consumer:' || r.consumer_id
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'Stakes paid another part of a credit than its report says.',
      await sql<Row[]>`
        select r.id as "where", coalesce(-e.amount, 0)::text as found, r.from_stakes::text as expected
        from sla_reports r
        left join (
          select id, amount from postings where kind = 'sla-credit' and account = 'platform:slashed'
        ) e on e.id = 'sla-credit:' || r.consumer_id || ':' || r.month
        where coalesce(-e.amount, 0) <> r.from_stakes order by 1 limit ${LISTED + 1}`,
    );
    note(
      'The charges of a report are not what stakes paid.',
      await sql<Row[]>`
        select r.id as "where", coalesce(sum(c.taken), 0)::text as found, r.from_stakes::text as expected
        from sla_reports r left join sla_charges c on c.report_id = r.id
        group by r.id, r.from_stakes having coalesce(sum(c.taken), 0) <> r.from_stakes
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      'A charge of a report is no move of the pledge.',
      await sql<Row[]>`
        select c.finding_id as "where", m.amount::text as found, c.taken::text as expected
        from sla_charges c
        left join collateral_moves m
          on m.id = 'slash:' || c.finding_id and m.scope = 'usd' and m.kind = 'slashed' and m.holder = c.provider_id
        where coalesce(m.amount, 0) <> c.taken order by 1 limit ${LISTED + 1}`,
    );
    note(
      'A granted appeal did not give back what was charged, or another one did.',
      await sql<Row[]>`
        select c.finding_id as "where", coalesce(m.amount, 0) || ' for ' || coalesce(e.amount, 0) as found,
          case when a.decision = 'granted' then c.taken else 0 end::text as expected
        from sla_charges c
        left join sla_appeals a on a.finding_id = c.finding_id
        left join collateral_moves m on m.id = 'slash-returned:' || c.finding_id and m.holder = c.provider_id
        left join (
          select id, -amount as amount from postings where kind = 'slash-returned' and account = 'platform:sla'
        ) e on e.id = 'slash-returned:' || c.finding_id || ':usd'
        where coalesce(m.amount, 0) <> case when a.decision = 'granted' then c.taken else 0 end
          or coalesce(e.amount, 0) <> coalesce(m.amount, 0)
        order by 1 limit ${LISTED + 1}`,
    );
    return differences;
  });
}
