import type { Database, Sql } from '#db/database.ts';
import { type Follower, follow } from '#db/follower.ts';
import { TIER_NAMES, TIERS, type Tier, type TierName, type TierTerms } from '#domain/tier.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';

/**
 * The terms of tiers as they stand: what the market began with, or what its operator set last. In memory; what is set
 * anywhere holds here as soon as PostgreSQL has announced it, for the next request.
 */
export class TierView {
  readonly #database: Database;
  #tiers: Readonly<Record<TierName, Tier>> = TIERS;
  #follower: Follower | undefined;

  /** Loads the terms and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: { database: Database; clock: Clock; log: Logger }): Promise<TierView> {
    const view = new TierView(options.database);
    view.#follower = await follow(options.database, {
      channel: 'tiers_changed',
      clock: options.clock,
      log: options.log,
      load: () => view.#load(),
    });
    return view;
  }

  private constructor(database: Database) {
    this.#database = database;
  }

  readonly of = (name: TierName): Tier => this.#tiers[name];

  /** Sets terms from now on. What is not named stays. Answers the tier as it is then. */
  async set(name: TierName, terms: Partial<TierTerms>, by: { actor: string; at: number }): Promise<Tier> {
    const tier = await setTier(this.#database, name, terms, by);
    await this.#follower?.look([name]);
    return tier;
  }

  async close(): Promise<void> {
    await this.#follower?.close();
  }

  async #load(): Promise<void> {
    const read = await readTiers(this.#database.sql);
    const same = TIER_NAMES.every((name) => JSON.stringify(read[name]) === JSON.stringify(this.#tiers[name]));
    // The limits that follow from a tier are worked out once per object.
    if (!same) this.#tiers = read;
  }
}

/** The terms of all tiers. */
export async function readTiers(sql: Sql): Promise<Record<TierName, Tier>> {
  const rows = await sql<Row[]>`select distinct on (tier) * from tier_terms order by tier, number desc`;
  const tiers: Record<TierName, Tier> = { ...TIERS };
  for (const row of rows) tiers[row.tier] = tierOfRow(row);
  return tiers;
}

/** Sets terms of a tier, and says who did. Two at once go one after the other. Answers the tier as it is then. */
export async function setTier(
  database: Database,
  name: TierName,
  terms: Partial<TierTerms>,
  { actor, at }: { actor: string; at: number },
): Promise<Tier> {
  return await database.transaction(async (sql) => {
    await sql`lock table tier_terms in share row exclusive mode`;
    const tier: Tier = { ...(await readTiers(sql))[name], ...terms };
    await sql`
      insert into tier_terms (
        tier, prompt_tokens_max, output_tokens_max, concurrent, burst, weight, queue_deadline_ms, retries_max,
        smaller_model, price_factor, actor, set_at
      ) values (
        ${name}, ${tier.promptTokensMax}, ${tier.outputTokensMax}, ${tier.concurrent}, ${tier.burst}, ${tier.weight},
        ${tier.queueDeadlineMs}, ${tier.retriesMax}, ${tier.smallerModel}, ${tier.priceFactor}, ${actor},
        ${new Date(at)}
      )`;
    return tier;
  });
}

interface Row {
  tier: TierName;
  prompt_tokens_max: number | null;
  output_tokens_max: number | null;
  concurrent: number | null;
  burst: number | null;
  weight: number;
  queue_deadline_ms: number;
  retries_max: number | null;
  smaller_model: Tier['smallerModel'];
  price_factor: number;
}

function tierOfRow(row: Row): Tier {
  const { name, title } = TIERS[row.tier];
  return Object.freeze({
    name,
    title,
    promptTokensMax: row.prompt_tokens_max,
    outputTokensMax: row.output_tokens_max,
    concurrent: row.concurrent,
    burst: row.burst,
    weight: row.weight,
    queueDeadlineMs: row.queue_deadline_ms,
    retriesMax: row.retries_max,
    smallerModel: row.smaller_model,
    priceFactor: row.price_factor,
  });
}
