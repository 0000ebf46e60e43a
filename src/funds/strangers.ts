import type { Database, Sql } from '#db/database.ts';

/**
 * What the chain shows and this ledger cannot know of. A ledger that was restored from a backup reads the chain again from
 * where it stood, so deposits and pledges come back by themselves; but two things tell it that it has forgotten something:
 * tokens at an address that it has handed out to nobody yet (the next consumer would get the address of another), and a
 * slash for a reason that is no finding of its own. Either stops payouts until the operator has said what it is.
 *
 * The readers note them in the transaction that moves their mark, so that none is missed and none is noted twice.
 */
export interface Stranger {
  readonly id: string;
  readonly what: 'deposit' | 'slash';
  readonly detail: string;
  /** Wall milliseconds. */
  readonly foundAt: number;
}

/** Notes one, once. */
export async function noteStranger(sql: Sql, stranger: Stranger): Promise<void> {
  const { id, what, detail, foundAt } = stranger;
  await sql`
    insert into chain_strangers (id, what, detail, found_at)
    values (${id}, ${what}, ${detail}, ${new Date(foundAt)}) on conflict (id) do nothing`;
}

/** Those that nobody has explained, oldest first. */
export async function openStrangers(sql: Sql, limit: number): Promise<Stranger[]> {
  const rows = await sql<{ id: string; what: Stranger['what']; detail: string; found_at: Date }[]>`
    select id, what, detail, found_at from chain_strangers where resolved_at is null order by found_at, id limit ${limit}`;
  return rows.map(({ id, what, detail, found_at: at }) => ({ id, what, detail, foundAt: at.getTime() }));
}

/** Takes the operator's word on one. `known`: somebody explained it before, and that stays. */
export async function resolveStranger(
  database: Database,
  { id, resolution, at }: { id: string; resolution: string; at: number },
): Promise<'resolved' | 'known' | 'unknown'> {
  const [done] = await database.sql`
    update chain_strangers set resolution = ${resolution}, resolved_at = ${new Date(at)}
    where id = ${id} and resolved_at is null returning id`;
  if (done) return 'resolved';
  const [known] = await database.sql`select from chain_strangers where id = ${id}`;
  return known ? 'known' : 'unknown';
}

/** Why nothing may be paid out now, as a sentence; undefined when nothing speaks against it. */
export async function payoutsHeldBy(database: Database): Promise<string | undefined> {
  const open = await openStrangers(database.sql, 1);
  const [first] = open;
  return (
    first &&
    `The chain shows what this ledger does not know of: ${first.detail} (${first.id}). Was a backup restored? Payouts stay stopped until the newest ledger is back, or 'cygnet audit explain' has an answer.`
  );
}
