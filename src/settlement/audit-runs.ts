import type { Database } from '#db/database.ts';
import type { Difference } from '#ledger/audit.ts';

/** Audits that were made, and what they found: for whoever asks later whether the books were in order that night. */
export interface AuditRun {
  /** Wall milliseconds. */
  readonly at: number;
  readonly occasion: 'nightly' | 'command';
  readonly balanced: boolean;
  /** Whether the chain was asked too. */
  readonly chainAsked: boolean;
  readonly tookMs: number;
  /** The first hundred at most. */
  readonly differences: readonly Difference[];
}

export async function noteAudit(database: Database, run: AuditRun): Promise<void> {
  await database.sql`
    insert into audit_runs (at, occasion, balanced, chain_asked, took_ms, differences)
    values (
      ${new Date(run.at)}, ${run.occasion}, ${run.balanced}, ${run.chainAsked}, ${Math.round(run.tookMs)},
      ${database.sql.json(run.differences.map((each) => ({ ...each })))}
    )`;
}

/** The latest audits, newest first. */
export async function listAudits(database: Database, limit: number): Promise<AuditRun[]> {
  const rows = await database.sql<Row[]>`select * from audit_runs order by at desc, id desc limit ${limit}`;
  return rows.map((row) => ({
    at: row.at.getTime(),
    occasion: row.occasion,
    balanced: row.balanced,
    chainAsked: row.chain_asked,
    tookMs: Number(row.took_ms),
    differences: row.differences,
  }));
}

/** When the last nightly audit was made; undefined when there was none. */
export async function lastNightly(database: Database): Promise<number | undefined> {
  const [row] = await database.sql<{ at: Date }[]>`
    select at from audit_runs where occasion = 'nightly' order by at desc limit 1`;
  return row?.at.getTime();
}

/**
 * Why nothing may be paid out after the last audit that asked the chain, as a sentence; undefined when it found nothing. A
 * later one that finds nothing, such as `cygnet audit`, lets payouts go on.
 */
export async function auditHolds(database: Database): Promise<string | undefined> {
  const [row] = await database.sql<Row[]>`
    select * from audit_runs where chain_asked order by at desc, id desc limit 1`;
  if (!row || row.balanced) return undefined;
  const [first] = row.differences;
  return `The audit of ${row.at.toISOString()} found differences: ${first?.what ?? ''} (${first?.where ?? ''}) Payouts stay stopped until 'cygnet audit' finds none.`;
}

interface Row {
  at: Date;
  occasion: AuditRun['occasion'];
  balanced: boolean;
  chain_asked: boolean;
  took_ms: bigint;
  differences: Difference[];
}
