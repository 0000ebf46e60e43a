import type { Database, Sql } from '#db/database.ts';
import { dayName, dayOf, parseDay } from '#domain/window.ts';
import { assert } from '#kit/assert.ts';
import type { Phase, Terms } from './pool.ts';

/**
 * What the operator decides about rewards: how large a day's pool is and how it is shared, from a day on; and what a
 * provider's hardware counts for. Both are histories that only grow.
 */
export interface DatedTerms extends Terms {
  /** Days as `dayOf` counts. */
  readonly effectiveDay: number;
  /** Wall milliseconds. */
  readonly setAt: number;
}

/** A pool larger than this is a mistyped one. SWAN has a thousand million whole tokens in all. */
export const POOL_MAX = 10n ** 27n;

/** `past` when the day is over, `taken` when terms are set for it: terms are never rewritten. */
export async function setTerms(database: Database, terms: DatedTerms): Promise<'set' | 'past' | 'taken'> {
  assert(terms.pool >= 0n && terms.pool <= POOL_MAX, 'a pool is between nothing and everything');
  if (terms.effectiveDay < dayOf(terms.setAt)) return 'past';
  const { pool, phase, ubiBps } = terms;
  const [made] = await database.sql`
    insert into reward_terms (effective_day, pool, phase, ubi_bps, set_at)
    values (${dayName(terms.effectiveDay)}, ${pool}, ${phase}, ${ubiBps}, ${new Date(terms.setAt)})
    on conflict do nothing returning effective_day`;
  return made ? 'set' : 'taken';
}

interface Row {
  effective_day: string;
  pool: bigint;
  phase: number;
  ubi_bps: number;
  set_at: Date;
}

/** Newest first. */
export async function termsHistory(database: Database, limit: number): Promise<DatedTerms[]> {
  const rows = await database.sql<
    Row[]
  >`select * from reward_terms order by effective_day desc limit ${limit}`;
  return rows.map(termsOf);
}

/** What is in force on a day; undefined before the first. */
export async function termsOn(sql: Sql, day: number): Promise<DatedTerms | undefined> {
  const [row] = await sql<Row[]>`
    select * from reward_terms where effective_day <= ${dayName(day)} order by effective_day desc limit 1`;
  return row && termsOf(row);
}

function termsOf(row: Row): DatedTerms {
  return {
    effectiveDay: parseDay(row.effective_day) as number,
    pool: row.pool,
    phase: row.phase as Phase,
    ubiBps: row.ubi_bps,
    setAt: row.set_at.getTime(),
  };
}

/** What hardware may count for, in hundredths. */
export const TIERS = [100, 150, 250, 400] as const;
export type Tier = (typeof TIERS)[number];

/** Notes what a provider's hardware counts for from now on. */
export async function setTier(
  database: Database,
  { providerId, tier, at }: { providerId: string; tier: Tier; at: number },
): Promise<void> {
  await database.sql`
    insert into reward_tiers (provider_id, tier, set_at) values (${providerId}, ${tier}, ${new Date(at)})`;
}
