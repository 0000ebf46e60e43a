import type { Database, Sql } from '#db/database.ts';
import { type Follower, follow } from '#db/follower.ts';
import type { TierName } from '#domain/tier.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { OBJECTIVES, type Objectives } from './objectives.ts';

/**
 * The objectives of tiers as they stand: what the market began with, or what its operator set last. Each version holds from
 * the next whole minute on, for the minutes that come; what is past stays judged by what held then (`versionsOf`).
 */
export class ObjectiveView {
  readonly #database: Database;
  readonly #clock: Clock;
  #versions: readonly ObjectiveVersion[] = [];
  #follower: Follower | undefined;

  /** Loads them and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: { database: Database; clock: Clock; log: Logger }): Promise<ObjectiveView> {
    const view = new ObjectiveView(options);
    view.#follower = await follow(options.database, {
      channel: 'objectives_changed',
      clock: options.clock,
      log: options.log,
      load: async () => {
        view.#versions = await versionsOf(options.database.sql);
      },
    });
    return view;
  }

  private constructor({ database, clock }: { database: Database; clock: Clock }) {
    this.#database = database;
    this.#clock = clock;
  }

  readonly of = (tier: TierName): Objectives =>
    this.#versions.length === 0 ? OBJECTIVES[tier] : objectivesAt(this.#versions, tier, this.#clock.wallMs());

  /** Sets objectives. What is not named stays. Answers the version that was made. */
  async set(
    tier: TierName,
    changes: Partial<ObjectiveFigures>,
    by: { actor: string; at: number },
  ): Promise<ObjectiveVersion> {
    const version = await setObjectives(this.#database, tier, changes, by);
    await this.#follower?.look([tier]);
    return version;
  }

  /** Every version of a tier, newest first. */
  async history(tier: TierName): Promise<ObjectiveVersion[]> {
    return (await versionsOf(this.#database.sql)).filter((each) => each.tier === tier).toReversed();
  }

  async close(): Promise<void> {
    await this.#follower?.close();
  }
}

export interface ObjectiveVersion {
  readonly tier: TierName;
  readonly figures: ObjectiveFigures;
  readonly actor: string;
  /** Wall milliseconds. */
  readonly setMs: number;
  /** The first minute that it holds for. */
  readonly fromMs: number;
}

/** Objectives as they are set: shares in parts per million, times in milliseconds. */
export interface ObjectiveFigures {
  readonly availabilityPpm: number;
  readonly ttftP95Ms: number;
  readonly ttlt256P95Ms: number;
  readonly ttlt512P95Ms: number;
  readonly serverErrorsPpm: number;
  readonly tooManyPpm: number;
}

/** The least and the most of each figure, as the table holds them. */
export const OBJECTIVE_BOUNDS = {
  availabilityPpm: { least: 500_000, most: 999_999 },
  ttftP95Ms: { least: 1, most: 600_000 },
  ttlt256P95Ms: { least: 1, most: 600_000 },
  ttlt512P95Ms: { least: 1, most: 600_000 },
  serverErrorsPpm: { least: 0, most: 1_000_000 },
  tooManyPpm: { least: 0, most: 1_000_000 },
} as const satisfies Record<keyof ObjectiveFigures, { least: number; most: number }>;

/** What held for a tier at a moment. Pure. */
export function objectivesAt(
  versions: readonly ObjectiveVersion[],
  tier: TierName,
  atMs: number,
): Objectives {
  const version = versions.findLast((each) => each.tier === tier && each.fromMs <= atMs);
  return version ? ofFigures(version.figures) : OBJECTIVES[tier];
}

/** The moments within a span (bounds excluded) at which something else begins to hold. Pure. */
export function changesWithin(
  versions: readonly ObjectiveVersion[],
  { from, until }: { from: number; until: number },
): number[] {
  const moments = new Set(versions.map(({ fromMs }) => fromMs).filter((at) => at > from && at < until));
  return [...moments].toSorted((a, b) => a - b);
}

/** Every version of every tier, oldest first. */
export async function versionsOf(sql: Sql): Promise<ObjectiveVersion[]> {
  const rows = await sql<Row[]>`select * from objective_terms order by number`;
  return rows.map((row) => ({
    tier: row.tier,
    figures: {
      availabilityPpm: row.availability_ppm,
      ttftP95Ms: row.ttft_p95_ms,
      ttlt256P95Ms: row.ttlt_256_p95_ms,
      ttlt512P95Ms: row.ttlt_512_p95_ms,
      serverErrorsPpm: row.server_errors_ppm,
      tooManyPpm: row.too_many_ppm,
    },
    actor: row.actor,
    setMs: row.set_at.getTime(),
    fromMs: row.from_at.getTime(),
  }));
}

/**
 * Sets objectives of a tier from the next whole minute on, and says who did. Two at once go one after the other. Throws
 * `request-invalid` where an answer of 512 tokens would have to be done sooner than one of 256.
 */
export async function setObjectives(
  database: Database,
  tier: TierName,
  changes: Partial<ObjectiveFigures>,
  { actor, at }: { actor: string; at: number },
): Promise<ObjectiveVersion> {
  return await database.transaction(async (sql) => {
    await sql`lock table objective_terms in share row exclusive mode`;
    const latest = (await versionsOf(sql)).findLast((each) => each.tier === tier);
    const figures = { ...(latest?.figures ?? figuresOf(OBJECTIVES[tier])), ...changes };
    if (figures.ttlt512P95Ms < figures.ttlt256P95Ms)
      throw new Fault('request-invalid', {
        outer: 'The time of 512 tokens is at least that of 256.',
      });
    // Never before what holds already: a clock that went back judges nothing anew.
    const fromMs = Math.max(Math.ceil(at / MINUTE_MS) * MINUTE_MS, latest?.fromMs ?? 0);
    const setMs = Math.min(at, fromMs);
    await sql`
      insert into objective_terms (
        tier, availability_ppm, ttft_p95_ms, ttlt_256_p95_ms, ttlt_512_p95_ms, server_errors_ppm, too_many_ppm,
        actor, set_at, from_at
      ) values (
        ${tier}, ${figures.availabilityPpm}, ${figures.ttftP95Ms}, ${figures.ttlt256P95Ms},
        ${figures.ttlt512P95Ms}, ${figures.serverErrorsPpm}, ${figures.tooManyPpm}, ${actor}, ${new Date(setMs)},
        ${new Date(fromMs)}
      )`;
    return { tier, figures, actor, setMs, fromMs };
  });
}

export function figuresOf(objectives: Objectives): ObjectiveFigures {
  return {
    availabilityPpm: ppm(objectives.availability),
    ttftP95Ms: objectives.ttftP95Ms,
    ttlt256P95Ms: objectives.ttltP95Ms[256],
    ttlt512P95Ms: objectives.ttltP95Ms[512],
    serverErrorsPpm: ppm(objectives.serverErrors),
    tooManyPpm: ppm(objectives.tooMany),
  };
}

function ofFigures(figures: ObjectiveFigures): Objectives {
  return {
    availability: figures.availabilityPpm / 1e6,
    ttftP95Ms: figures.ttftP95Ms,
    ttltP95Ms: { 256: figures.ttlt256P95Ms, 512: figures.ttlt512P95Ms },
    serverErrors: figures.serverErrorsPpm / 1e6,
    tooMany: figures.tooManyPpm / 1e6,
  };
}

function ppm(share: number): number {
  return Math.round(share * 1e6);
}

interface Row {
  tier: TierName;
  availability_ppm: number;
  ttft_p95_ms: number;
  ttlt_256_p95_ms: number;
  ttlt_512_p95_ms: number;
  server_errors_ppm: number;
  too_many_ppm: number;
  actor: string;
  set_at: Date;
  from_at: Date;
}

const MINUTE_MS = 60_000;
