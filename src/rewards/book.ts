import type { Database } from '#db/database.ts';
import { dayOf } from '#domain/window.ts';
import { type TokenStanding, tokenStandingOf } from '#ledger/token-book.ts';
import { factsOf } from './facts.ts';
import { type Phase, type Share, shareOutPool } from './pool.ts';
import { type Uptime, uptimePercent, uptimesOf } from './presence.ts';
import { type Exclusion, type Score, scoresOf, WHOLE, type Work } from './score.ts';

/** What the reward token is called, and how many of its units are a whole one. */
export const REWARD_ASSET = 'SWAN';
export const REWARD_DECIMALS = 18;

/** A rewarded day. Days as they are written. */
export interface RewardDay {
  readonly day: string;
  readonly pool: bigint;
  readonly phase: Phase;
  readonly ubiBps: number;
  readonly marketMinutes7d: bigint;
  readonly marketMinutes30d: bigint;
  /** Models that were on sale. */
  readonly marketModels: bigint;
  readonly utilisationPpm: bigint;
  readonly given: bigint;
  readonly reserve: bigint;
  readonly vestsOn: string;
  readonly vested: boolean;
}

/** A provider's share of a day, with what it was judged by. */
export type RewardShare = Omit<Share, 'excluded'> & Work & { readonly excluded: Exclusion | null };

/** Reads what was rewarded. */
export class RewardBook {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first. */
  async days(limit: number): Promise<RewardDay[]> {
    const { sql } = this.#database;
    return await sql<
      RewardDay[]
    >`select ${dayColumns(sql)} from reward_days order by day desc limit ${limit}`;
  }

  async day(day: string): Promise<RewardDay | undefined> {
    const { sql } = this.#database;
    const [row] = await sql<RewardDay[]>`select ${dayColumns(sql)} from reward_days where day = ${day}`;
    return row;
  }

  /** In the order of what they got; those that got nothing come last. */
  async sharesOf(day: string, limit: number): Promise<RewardShare[]> {
    const { sql } = this.#database;
    return await sql<RewardShare[]>`
      select ${shareColumns(sql)} from reward_shares where day = ${day}
      order by liquid + locked desc, weight desc, provider_id collate "C" limit ${limit}`;
  }

  /** What a provider got lately, newest day first. */
  async ofProvider(providerId: string, limit: number): Promise<(RewardDay & RewardShare)[]> {
    const { sql } = this.#database;
    return await sql<(RewardDay & RewardShare)[]>`
      select ${dayColumns(sql)}, s.* from (
        select day as share_day, ${shareColumns(sql)} from reward_shares
        where provider_id = ${providerId} order by day desc limit ${limit}
      ) s join reward_days on day = s.share_day order by day desc`;
  }

  /** Everybody's score by the week that ends with this instant's day: a preview, by the rules of rewarded days. */
  async scoresNow(at: number): Promise<Score[]> {
    const { works, market } = await factsOf(this.#database.sql, dayOf(at));
    return scoresOf(works, market);
  }

  async standingOf(providerId: string): Promise<TokenStanding> {
    return await tokenStandingOf(this.#database.sql, REWARD_ASSET, providerId);
  }

  /** The scores of the newest rewarded day, by provider; whole is one. */
  async scores(): Promise<Map<string, number>> {
    const rows = await this.#database.sql<{ provider_id: string; score: bigint }[]>`
      select provider_id, score from reward_shares where day = (select max(day) from reward_days)`;
    return new Map(rows.map(({ provider_id, score }) => [provider_id, Number(score) / Number(WHOLE)]));
  }

  /** Of the last seven days; undefined when nothing was measured. */
  async uptimePercent(providerId: string, at: number): Promise<number | undefined> {
    return await uptimePercent(this.#database, { providerId, at });
  }

  /** Who was there how much of 7 and 30 days. */
  async uptimes(at: number, providerId?: string): Promise<Map<string, Uptime>> {
    return await uptimesOf(this.#database, { at, providerId });
  }

  /** Shares a kept day out again from what was kept of it. Answers the providers whose share comes out otherwise. */
  async recompute(day: RewardDay): Promise<string[]> {
    const kept = await this.sharesOf(day.day, 2_147_483_647);
    const { shares } = shareOutPool(day, kept, {
      minutes7d: day.marketMinutes7d,
      minutes30d: day.marketMinutes30d,
      models: day.marketModels,
      utilisation: day.utilisationPpm * (WHOLE / 1_000_000n),
    });
    return kept
      .filter((was, i) => {
        const now = shares[i] as Share;
        return (
          was.excluded !== (now.excluded ?? null) ||
          was.score !== now.score ||
          was.weight !== now.weight ||
          was.ubi !== now.ubi ||
          was.contribution !== now.contribution ||
          was.bonus !== now.bonus ||
          was.liquid !== now.liquid ||
          was.locked !== now.locked
        );
      })
      .map(({ providerId }) => providerId);
  }
}

type Sql = Database['sql'];

function dayColumns(sql: Sql) {
  return sql`
    day, pool, phase, ubi_bps as "ubiBps", market_minutes_7d as "marketMinutes7d",
    market_minutes_30d as "marketMinutes30d", reward_days.models as "marketModels", utilisation_ppm as "utilisationPpm", given,
    reserve, vests_on as "vestsOn", vested_at is not null as vested`;
}

function shareColumns(sql: Sql) {
  return sql`
    provider_id as "providerId", active, tier::bigint as tier, inferences, tokens, succeeded, failed,
    latency_ms as "latencyMs", models, minutes_7d as "minutes7d", minutes_30d as "minutes30d", score, weight, excluded,
    ubi, contribution, bonus, liquid, locked`;
}
