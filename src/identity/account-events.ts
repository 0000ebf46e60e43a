import type { Sql } from '#db/database.ts';

/** What was done to an account, a key or a wallet, and by whom. Written in the transaction that does it; never changed. */
export async function noteEvent(
  sql: Sql,
  event: {
    at: number;
    /** A user, a key, or `cli`. */
    actor: string;
    what: string;
    about: string;
    detail?: Readonly<Record<string, string>>;
  },
): Promise<void> {
  await sql`
    insert into account_events (at, actor, what, about, detail)
    values (${new Date(event.at)}, ${event.actor}, ${event.what}, ${event.about}, ${sql.json(event.detail ?? {})})`;
}
