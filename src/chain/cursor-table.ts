import type { Sql } from '#db/database.ts';
import type { Cursor } from './watch.ts';

/** How far each reader of events has read, kept with what it made of them. */
export async function cursorOf(sql: Sql, reader: string): Promise<Cursor | undefined> {
  const [row] = await sql<Cursor[]>`select block, hash from chain_cursors where reader = ${reader}`;
  return row;
}

/** Moves a reader on within the caller's transaction. False when another process has read on from there. */
export async function moveCursor(
  sql: Sql,
  reader: string,
  { from, to }: { from: Cursor | undefined; to: Cursor },
): Promise<boolean> {
  const moved = from
    ? await sql`
        update chain_cursors set block = ${to.block}, hash = ${to.hash}
        where reader = ${reader} and block = ${from.block} and hash = ${from.hash}`
    : await sql`
        insert into chain_cursors (reader, block, hash) values (${reader}, ${to.block}, ${to.hash})
        on conflict do nothing`;
  return moved.count === 1;
}
