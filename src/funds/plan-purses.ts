import type { Database } from '#db/database.ts';
import { type Change, type Follower, follow } from '#db/follower.ts';
import type { Pico } from '#domain/money.ts';
import { planOf } from '#domain/plan.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';

/**
 * What a paid period of a plan may still pay for: at list prices no more than its fee came to (`coveredFeePercents` of the
 * plan). So what plans pay is bounded by what they took, and whoever is served by a provider of its own takes no more out of
 * a plan than out of a balance (`wash.test.ts`).
 *
 * Plain data, changed in place by whoever covers (`gateway/plan-quotas.ts`).
 */
export interface Purse {
  /** Names the period. Wall milliseconds. */
  readonly startsAt: number;
  readonly endsAt: number;
  readonly most: Pico;
  /** Of requests that are over, and of those under way at the most. */
  spent: Pico;
  reserved: Pico;
}

/** A period's purse serves this long beyond its end: the next fee is taken in rounds. */
const BEYOND_MS = 3_600_000;
/** Periods that were added this long ago are looked for again, should an announcement go astray. */
const RECENT_MS = 600_000;

/**
 * The purses of all paid periods in memory. A period that is bought anywhere is known here as soon as PostgreSQL has announced
 * it. What was spent before this process began is read from the usage list; what is in memory is never lowered by reading
 * again, because requests may be served and not posted yet.
 */
export class PlanPurses {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #purses = new Map<string, Purse>();
  #follower: Follower | undefined;

  /** Loads every running period and follows until `close`. Throws when the database cannot be reached. */
  static async open(parts: { database: Database; clock: Clock; log: Logger }): Promise<PlanPurses> {
    const purses = new PlanPurses(parts);
    purses.#follower = await follow(parts.database, {
      channel: 'plan_periods_changed',
      clock: parts.clock,
      log: parts.log,
      load: (change) => purses.#load(change),
    });
    return purses;
  }

  private constructor(parts: { database: Database; clock: Clock }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
  }

  /** The purse of the period that a consumer has paid for; undefined when there is none. */
  of(consumerId: string): Purse | undefined {
    const purse = this.#purses.get(consumerId);
    return purse && this.#clock.wallMs() < purse.endsAt + BEYOND_MS ? purse : undefined;
  }

  /** Learns of a period that was bought a moment ago. */
  async look(consumerId: string): Promise<void> {
    await this.#follower?.look([consumerId]);
  }

  async close(): Promise<void> {
    await this.#follower?.close();
  }

  async #load(change: Change): Promise<void> {
    const { sql } = this.#database;
    const now = this.#clock.wallMs();
    const which =
      change === 'all'
        ? sql`true`
        : change === 'recent'
          ? sql`starts_at > ${new Date(now - RECENT_MS)}`
          : sql`consumer_id = any(${[...change]}::text[])`;
    // The latest period alone: of an earlier one nothing is left to pay for.
    const rows = await sql<Row[]>`
      select p.consumer_id as consumer, p.plan, p.starts_at, p.ends_at, p.fee, coalesce((
        select sum(u.covered) from usage u where u.consumer_id = p.consumer_id and u.at >= p.starts_at
      ), 0)::numeric as spent
      from (
        select distinct on (consumer_id) * from plan_periods where ${which} order by consumer_id, starts_at desc
      ) p
      where p.ends_at > ${new Date(now - BEYOND_MS)}`;
    for (const { consumer, plan, starts_at: starts, ends_at: ends, fee, spent } of rows) {
      const known = this.#purses.get(consumer);
      if (known && known.startsAt >= starts.getTime()) {
        if (known.startsAt === starts.getTime() && spent > known.spent) known.spent = spent;
        continue;
      }
      this.#purses.set(consumer, {
        startsAt: starts.getTime(),
        endsAt: ends.getTime(),
        most: (fee * BigInt(planOf(plan).coveredFeePercents)) / 100n,
        spent,
        reserved: 0n,
      });
    }
    for (const [consumer, { endsAt }] of this.#purses) {
      if (endsAt + BEYOND_MS < now) this.#purses.delete(consumer);
    }
  }
}

interface Row {
  consumer: string;
  plan: string;
  starts_at: Date;
  ends_at: Date;
  fee: Pico;
  spent: Pico;
}
