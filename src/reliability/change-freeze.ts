import type { Sql } from '#db/database.ts';

/** Freezes of changes that an operator declares: for a launch, a holiday, or what no rule can see. */
export interface ChangeFreeze {
  readonly id: string;
  readonly words: string;
  readonly actor: string;
  readonly fromMs: number;
  /** Null: until it is lifted. */
  readonly untilMs: number | null;
  readonly liftedMs: number | null;
  readonly liftedBy: string | null;
}

export async function declareFreeze(
  sql: Sql,
  freeze: Omit<ChangeFreeze, 'liftedMs' | 'liftedBy'>,
): Promise<void> {
  const { id, words, actor, fromMs, untilMs } = freeze;
  await sql`
    insert into change_freezes (id, words, actor, from_at, until_at)
    values (${id}, ${words}, ${actor}, ${new Date(fromMs)}, ${untilMs === null ? null : new Date(untilMs)})`;
}

/** Lifts a freeze that is in force. False when there is none of that id, or it is over. */
export async function liftFreeze(
  sql: Sql,
  id: string,
  by: { actor: string; atMs: number },
): Promise<boolean> {
  const at = new Date(by.atMs);
  const [row] = await sql`
    update change_freezes set lifted_at = greatest(from_at, ${at}::timestamptz), lifted_by = ${by.actor}
    where id = ${id} and lifted_at is null and (until_at is null or until_at > ${at}) returning id`;
  return row !== undefined;
}

/** Freezes that were in force at some time after `sinceMs`, newest first. */
export async function freezesSince(sql: Sql, sinceMs: number): Promise<ChangeFreeze[]> {
  const since = new Date(sinceMs);
  const rows = await sql<Row[]>`
    select * from change_freezes
    where (lifted_at is null or lifted_at > ${since}) and (until_at is null or until_at > ${since})
    order by from_at desc, id limit 200`;
  return rows.map((row) => ({
    id: row.id,
    words: row.words,
    actor: row.actor,
    fromMs: row.from_at.getTime(),
    untilMs: row.until_at?.getTime() ?? null,
    liftedMs: row.lifted_at?.getTime() ?? null,
    liftedBy: row.lifted_by,
  }));
}

/** Whether a freeze is in force. Pure. */
export function isInForce({ fromMs, untilMs, liftedMs }: ChangeFreeze, atMs: number): boolean {
  return fromMs <= atMs && liftedMs === null && (untilMs === null || untilMs > atMs);
}

interface Row {
  id: string;
  words: string;
  actor: string;
  from_at: Date;
  until_at: Date | null;
  lifted_at: Date | null;
  lifted_by: string | null;
}
