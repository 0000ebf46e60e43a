import type { Database, Sql } from '#db/database.ts';
import { dayName, dayOf, dayStart, parseDay } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { writeTokenEntries } from '#ledger/token-book.ts';
import { allotmentEntry, rewardEntry, vestedEntry } from '#ledger/token-entries.ts';
import { type Facts, factsOf } from './facts.ts';
import { type Share, shareOutPool, vestsOn } from './pool.ts';
import { type DatedTerms, termsOn } from './terms.ts';

/**
 * The reward of a day, as a journey:
 *
 *     terms in force -> what was measured -> shares -> the day, its shares and their entries, in one transaction
 *
 * The day is the key, so a day is rewarded once, whoever tries and however often; a process that dies before the commit has
 * done nothing, and after it everything. What is locked comes free the same way, day by day, when its day has come.
 *
 * Entries are labelled with the end of the rewarded day, so that the settlement of that day pays them if it comes later, and
 * the next one otherwise.
 */
export class Rewarder {
  readonly #database: Database;
  readonly #patient: Database;
  readonly #clock: Clock;
  readonly #secondClock: (() => Promise<number>) | undefined;
  readonly #log: Logger;

  /**
   * `secondClock` is asked too, and the earlier of both counts: a day that was rewarded before its end stays so, and one
   * of several machines may have a wrong clock. `patientDatabase` is for reading a week of usage; whether there is anything
   * to do is asked without patience.
   */
  constructor(parts: {
    database: Database;
    patientDatabase?: Database;
    clock: Clock;
    secondClock?: () => Promise<number>;
    log: Logger;
  }) {
    this.#database = parts.database;
    this.#patient = parts.patientDatabase ?? parts.database;
    this.#clock = parts.clock;
    this.#secondClock = parts.secondClock;
    this.#log = parts.log;
  }

  /**
   * One round: rewards every day that is over and was not rewarded, from the first day that has terms, and frees what is
   * due. Throws when the database does not answer; what was done stays, and the next round goes on.
   */
  async round(): Promise<{ rewarded: string[]; vested: string[] }> {
    const rewarded: string[] = [];
    const yesterday = dayOf(await this.#now()) - 1;
    for (;;) {
      const day = await this.#nextDay();
      if (day === undefined || day > yesterday) break;
      if (await this.reward(day)) rewarded.push(dayName(day));
    }
    return { rewarded, vested: await this.vest() };
  }

  /**
   * Rewards a day that is over. False when it was rewarded before, or no terms are in force. Days are rewarded in their
   * order: `round` leaves none out.
   */
  async reward(day: number): Promise<boolean> {
    const at = await this.#now();
    if (day >= dayOf(at)) return false;
    const made = await this.#patient.transaction(async (sql) => {
      await sql`set local statement_timeout = '10min'`;
      await sql`select pg_advisory_xact_lock(hashtextextended('rewards', 0))`;
      const [known] = await sql`select 1 from reward_days where day = ${dayName(day)}`;
      if (known) return undefined;
      const plan = await this.#plan(sql, day);
      if (!plan) return undefined;
      await keepDay(sql, day, plan, at);
      return plan;
    });
    if (!made) return false;
    const given = made.shares.filter((share) => share.liquid + share.locked > 0n).length;
    this.#log.info(
      {
        day: dayName(day),
        pool: made.terms.pool,
        providers: made.shares.length,
        given,
        reserve: made.reserve,
      },
      'A day was rewarded.',
    );
    return true;
  }

  /** What a day would give by what is measured now; undefined without terms. Changes nothing. */
  async plan(day: number): Promise<DayPlan | undefined> {
    return await this.#plan(this.#patient.sql, day);
  }

  /** Frees what is locked until today or before. Answers the days it was rewarded for. */
  async vest(): Promise<string[]> {
    const at = await this.#now();
    const due = await this.#database.sql<{ day: string }[]>`
      select day from reward_days where vested_at is null and vests_on <= ${dayName(dayOf(at))} order by day`;
    const done: string[] = [];
    for (const { day } of due) if (await this.#vestDay(day, at)) done.push(day);
    return done;
  }

  async #vestDay(day: string, at: number): Promise<boolean> {
    return await this.#patient.transaction(async (sql) => {
      const [row] = await sql<{ vests_on: string; asset: 'SWAN' }[]>`
        update reward_days set vested_at = ${new Date(at)} where day = ${day} and vested_at is null
        returning vests_on, asset`;
      if (!row) return false;
      const shares = await sql<{ providerId: string; locked: bigint }[]>`
        select provider_id as "providerId", locked from reward_shares where day = ${day} and locked > 0
        order by provider_id collate "C"`;
      const label = dayStart(parseDay(row.vests_on) as number);
      for (let i = 0; i < shares.length; i += CHUNK) {
        const entries = shares.slice(i, i + CHUNK).map((share) => vestedEntry({ day, at: label, ...share }));
        await writeTokenEntries(sql, row.asset, entries);
      }
      return true;
    });
  }

  async #now(): Promise<number> {
    const ours = this.#clock.wallMs();
    const theirs = await this.#secondClock?.();
    return theirs === undefined ? ours : Math.min(ours, theirs);
  }

  /** The day after the last rewarded one, or the first that has terms. */
  async #nextDay(): Promise<number | undefined> {
    const [row] = await this.#database.sql<{ last: string | null; first: string | null }[]>`
      select (select max(day) from reward_days) as last, (select min(effective_day) from reward_terms) as first`;
    if (row?.last) return (parseDay(row.last) as number) + 1;
    return row?.first ? parseDay(row.first) : undefined;
  }

  async #plan(sql: Sql, day: number): Promise<DayPlan | undefined> {
    const terms = await termsOn(sql, day);
    if (!terms) return undefined;
    const facts = await factsOf(sql, day);
    return { terms, facts, ...shareOutPool(terms, facts.works, facts.market) };
  }
}

/** What the database's machine says the time is, in wall milliseconds. */
export async function databaseTime(database: Database): Promise<number> {
  const [row] = await database.sql<
    { ms: bigint }[]
  >`select floor(extract(epoch from now()) * 1000)::bigint as ms`;
  return Number(row?.ms ?? 0n);
}

export interface DayPlan {
  readonly terms: DatedTerms;
  readonly facts: Facts;
  /** As `facts.works`. */
  readonly shares: readonly Share[];
  readonly reserve: bigint;
}

/** Rows of an insert at a time. */
const CHUNK = 5_000;
const ASSET = 'SWAN';

async function keepDay(sql: Sql, day: number, plan: DayPlan, at: number): Promise<void> {
  const { terms, facts, shares, reserve } = plan;
  const { market, works } = facts;
  const name = dayName(day);
  const label = dayStart(day + 1) - 1;
  await sql`
    insert into reward_days (
      day, asset, pool, phase, ubi_bps, market_minutes_7d, market_minutes_30d, models, utilisation_ppm, given, reserve,
      vests_on, made_at
    ) values (
      ${name}, ${ASSET}, ${terms.pool}, ${terms.phase}, ${terms.ubiBps}, ${market.minutes7d}, ${market.minutes30d},
      ${market.models}, ${market.utilisation / 1_000_000n}, ${terms.pool - reserve}, ${reserve},
      ${dayName(vestsOn(day))}, ${new Date(at)}
    )`;
  if (terms.pool > 0n) {
    await writeTokenEntries(sql, ASSET, [allotmentEntry({ day: name, at: label, pool: terms.pool })]);
  }
  for (let i = 0; i < shares.length; i += CHUNK) {
    const some = shares.slice(i, i + CHUNK);
    const rows = some.map((share, j) => rowOf(share, works[i + j] as Facts['works'][number]));
    const columns = sql(['day', ...Object.keys(rows[0] as object)]);
    await sql`
      insert into reward_shares (${columns})
      select ${name}, ${sql(Object.keys(rows[0] as object))}
      from json_populate_recordset(null::reward_shares, ${JSON.stringify(rows)}::text::json)`;
    const given = some.filter((share) => share.liquid + share.locked > 0n);
    await writeTokenEntries(
      sql,
      ASSET,
      given.map((share) => rewardEntry({ day: name, at: label, ...share })),
    );
  }
}

/** Amounts as text: JSON's numbers end where these begin. */
function rowOf(share: Share, work: Facts['works'][number]): Record<string, unknown> {
  return {
    provider_id: share.providerId,
    active: work.active,
    tier: Number(work.tier),
    inferences: work.inferences.toString(),
    tokens: work.tokens.toString(),
    succeeded: work.succeeded.toString(),
    failed: work.failed.toString(),
    latency_ms: work.latencyMs.toString(),
    models: work.models.toString(),
    minutes_7d: work.minutes7d.toString(),
    minutes_30d: work.minutes30d.toString(),
    score: share.score.toString(),
    weight: share.weight.toString(),
    excluded: share.excluded ?? null,
    ubi: share.ubi.toString(),
    contribution: share.contribution.toString(),
    bonus: share.bonus.toString(),
    liquid: share.liquid.toString(),
    locked: share.locked.toString(),
  };
}
