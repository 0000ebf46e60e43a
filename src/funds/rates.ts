import type { Database, Sql } from '#db/database.ts';
import { isStable, STABLE_RATE, type TokenAsset } from '#domain/asset.ts';
import type { Pico } from '#domain/money.ts';

/**
 * What one whole token counted for at an instant, in pico-USD: a dollar for stablecoins, the operator's rate for SWAN.
 * Undefined while no rate was in force.
 */
export async function rateAt(sql: Sql, asset: TokenAsset, wallMs: number): Promise<Pico | undefined> {
  if (isStable(asset)) return STABLE_RATE;
  const [row] = await sql<{ pico_per_token: Pico }[]>`
    select pico_per_token from asset_rates
    where asset = ${asset} and effective_at <= ${new Date(wallMs)} order by effective_at desc limit 1`;
  return row?.pico_per_token;
}

/** Sets the rate of SWAN from an instant on. `taken` when one is set for that very instant: rates are never rewritten. */
export async function setRate(
  database: Database,
  rate: { picoPerToken: Pico; effectiveAt: number; at: number },
): Promise<'set' | 'taken'> {
  const [made] = await database.sql`
    insert into asset_rates (asset, effective_at, pico_per_token, set_at)
    values ('SWAN', ${new Date(rate.effectiveAt)}, ${rate.picoPerToken}, ${new Date(rate.at)})
    on conflict (asset, effective_at) do nothing returning asset`;
  return made ? 'set' : 'taken';
}

/** The rates of SWAN, newest first, at most `limit`. */
export async function rateHistory(
  database: Database,
  limit: number,
): Promise<{ effectiveAt: number; picoPerToken: Pico }[]> {
  const rows = await database.sql<{ effective_at: Date; pico_per_token: Pico }[]>`
    select effective_at, pico_per_token from asset_rates where asset = 'SWAN'
    order by effective_at desc limit ${limit}`;
  return rows.map((row) => ({ effectiveAt: row.effective_at.getTime(), picoPerToken: row.pico_per_token }));
}
