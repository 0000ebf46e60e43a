import type { Database } from '#db/database.ts';
import type { Difference } from '#ledger/audit.ts';

/**
 * Whether the papers are the ledger: months have what was posted by their cuts and nothing else, documents are their months'
 * lines, receipts their deposits, burns their entries, and no number is missing. The same questions stand in
 * `docs/audit/check.md` for whoever trusts no program.
 */
export async function checkStatements(database: Database): Promise<Difference[]> {
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
      'A number of the series is missing.',
      await sql<Row[]>`
        select s.kind as "where", count(d.serial) as found, s.last as expected
        from document_series s left join documents d on d.kind = s.kind group by s.kind, s.last
        having count(d.serial) <> s.last or coalesce(max(d.serial), 0) <> s.last`,
    );
    note(
      'The months of a consumer are not what was posted by the last cut.',
      await sql<Row[]>`
        with last as (select ends_at, cut from billing_months where state <> 'cut' order by month desc limit 1),
        lines as (select consumer_id, sum(amount) as amount from billing_lines group by consumer_id),
        posted as (
          select substr(p.account, 10) as consumer_id, sum(p.amount) as amount from postings p, last
          where p.account like 'consumer:%' and p.at < last.ends_at and p.seq <= last.cut group by 1
        )
        select coalesce(l.consumer_id, p.consumer_id) as "where", l.amount::text as found, p.amount::text as expected
        from lines l full join posted p on p.consumer_id = l.consumer_id
        where coalesce(l.amount, 0) <> coalesce(p.amount, 0) order by 1 limit ${LISTED}`,
    );
    note(
      'Documents are not the lines of their month.',
      await sql<Row[]>`
        with lines as (
          select l.month, l.consumer_id, case l.kind when 'refund' then 'credit-note' else 'invoice' end as kind,
            sum(case l.kind when 'refund' then amount else -amount end) as amount
          from billing_lines l join billing_months m on m.month = l.month
          where m.state = 'issued' and l.kind <> 'movement' group by 1, 2, 3
        ), papers as (
          select d.month, d.consumer_id, d.kind, sum(d.total) as amount
          from documents d join billing_months m on m.month = d.month where m.state = 'issued' group by 1, 2, 3
        )
        select coalesce(p.kind || ' ' || p.consumer_id || ' ' || p.month, l.kind || ' ' || l.consumer_id || ' ' || l.month) as "where",
          p.amount::text as found, l.amount::text as expected
        from lines l full join papers p
          on p.month = l.month and p.consumer_id = l.consumer_id and p.kind = l.kind
        where p.amount is distinct from l.amount order by 1 limit ${LISTED}`,
    );
    note(
      'A receipt is not its deposit.',
      await sql<Row[]>`
        select d.number as "where", d.total::text as found, p.value::text as expected
        from documents d left join deposits p on d.subject = 'receipt:' || p.id
        where d.kind = 'receipt' and p.value is distinct from d.total order by 1 limit ${LISTED}`,
    );
    note(
      'A burn and its entry differ.',
      await sql<Row[]>`
        select coalesce('burn:' || b.id, p.id) as "where", (-p.amount)::text as found, b.spent::text as expected
        from burns b
        full join (select id, amount from postings where kind = 'burn' and account = 'platform:burn') p on p.id = 'burn:' || b.id
        where b.spent is distinct from -p.amount order by 1 limit ${LISTED}`,
    );
    return differences;
  });
}

const LISTED = 100;
