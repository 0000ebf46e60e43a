import type { Sql } from '#db/database.ts';
import type { TokenAsset } from '#domain/asset.ts';
import { Fault } from '#kit/fault.ts';
import { sumsOf } from './posting.ts';
import type { TokenEntry } from './token-entries.ts';

/** Assets that are booked in their own unit. */
export type BookedToken = Extract<TokenAsset, 'SWAN'>;

/**
 * Writes entries of a token within the caller's transaction, for rooms that keep a record of their own beside them, as
 * `writeEntries` does for dollars. The tables are others, so a token can never be added to a dollar. An entry that is
 * there already is left alone; one that is there with other terms throws. Locks are taken in the order of the accounts.
 */
export async function writeTokenEntries(
  sql: Sql,
  asset: BookedToken,
  entries: readonly TokenEntry[],
): Promise<void> {
  if (entries.length === 0) return;
  const accounts = [...sumsOf(entries).keys()].toSorted();
  await sql`
    insert into token_accounts (asset, id) select ${asset}, id from unnest(${accounts}::text[]) as t(id) order by id
    on conflict do nothing`;
  await sql`
    select from token_accounts where asset = ${asset} and id = any(${accounts}::text[]) order by id for no key update`;
  const known = new Map<string, { asset: string; accounts: string[]; amounts: bigint[] }>();
  const rows = await sql<{ id: string; asset: string; accounts: string[]; amounts: bigint[] }[]>`
    select id, asset, accounts, amounts from token_entries where id = any(${entries.map(({ id }) => id)}::text[])`;
  for (const row of rows) known.set(row.id, row);
  const fresh = entries.filter((entry) => {
    const there = known.get(entry.id);
    if (!there) return true;
    const same =
      there.asset === asset &&
      there.accounts.length === entry.legs.length &&
      entry.legs.every(
        ({ account, amount }, i) => there.accounts[i] === account && there.amounts[i] === amount,
      );
    if (same) return false;
    throw new Fault('internal', {
      inner: `The token entry ${entry.id} exists with other amounts or parties.`,
    });
  });
  if (fresh.length === 0) return;
  const lines = fresh.map(({ id, kind, at, legs, memo }) => ({
    id,
    kind,
    at: new Date(at).toISOString(),
    accounts: legs.map(({ account }) => account),
    amounts: legs.map(({ amount }) => amount.toString()),
    memo,
  }));
  await sql`
    insert into token_entries (id, asset, kind, at, accounts, amounts, memo)
    select id, ${asset}, kind, at, accounts, amounts, memo from json_to_recordset(${JSON.stringify(lines)}::text::json)
      as t(id text, kind text, at timestamptz, accounts text[], amounts numeric[], memo jsonb)`;
  const sums = sumsOf(fresh);
  await sql`
    update token_accounts a set balance = a.balance + t.amount
    from unnest(${[...sums.keys()]}::text[], ${[...sums.values()]}::numeric[]) as t(id, amount)
    where a.asset = ${asset} and a.id = t.id`;
}

/** What a provider has of a token, in its smallest unit. */
export interface TokenStanding {
  /** Not paid out yet. */
  readonly payable: bigint;
  /** Locked until its day. */
  readonly vesting: bigint;
}

export async function tokenStandingOf(
  sql: Sql,
  asset: BookedToken,
  providerId: string,
): Promise<TokenStanding> {
  const rows = await sql<{ id: string; balance: bigint }[]>`
    select id, balance from token_accounts
    where asset = ${asset} and id in (${`provider:${providerId}`}, ${`vesting:${providerId}`})`;
  const of = (id: string): bigint => rows.find((row) => row.id === id)?.balance ?? 0n;
  return { payable: of(`provider:${providerId}`), vesting: of(`vesting:${providerId}`) };
}
