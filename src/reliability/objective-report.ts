import type { Database } from '#db/database.ts';
import { TIER_NAMES, type TierName } from '#domain/tier.ts';
import { MinuteTable, type ServiceFigures } from './minute-table.ts';
import { changesWithin, objectivesAt, versionsOf } from './objective-terms.ts';
import { type MinuteBudget, minuteBudget, type Objectives, type ObjectivesOf } from './objectives.ts';
import { STANDARD_SLA } from './sla-terms.ts';

/**
 * How each tier did against its objectives in a window: of everything, of each model, and of each region of a model. What a
 * single consumer got is in its report of the agreement (`src/sla`), since minutes are not told apart by consumer.
 */
export interface ObjectiveRow {
  readonly tier: TierName;
  /** `''`: all models. */
  readonly modelId: string;
  /** `''`: everywhere. */
  readonly region: string;
  /** The stretch, in wall milliseconds. */
  readonly from: number;
  readonly until: number;
  readonly requests: number;
  readonly indicators: readonly Indicator[];
  /** Of the stretch, in minutes. */
  readonly budget: MinuteBudget;
}

export interface Indicator {
  readonly name: 'availability' | 'ttft-p95' | 'ttlt-256-p95' | 'ttlt-512-p95' | 'server-errors' | 'too-many';
  readonly target: number;
  /** Null: nothing was measured. */
  readonly measured: number | null;
  readonly met: boolean | null;
}

/** Minutes in which anybody asked, and those of them that were unavailable. */
interface Minutes {
  readonly measured: number;
  readonly unavailable: number;
}

/**
 * One row for each group and each stretch of the window in which the same objectives held: a change judges nothing of the past.
 *
 * @param window wall milliseconds, at most 35 days back: longer ago minutes are not kept
 */
export async function objectivesOf(
  database: Database,
  window: { from: number; until: number },
): Promise<ObjectiveRow[]> {
  const versions = await versionsOf(database.sql);
  const bounds = [window.from, ...changesWithin(versions, window), window.until];
  const rows: ObjectiveRow[] = [];
  for (let at = 0; at + 1 < bounds.length; at++) {
    const stretch = { from: bounds[at] as number, until: bounds[at + 1] as number };
    // oxlint-disable-next-line no-await-in-loop -- changes are rare, and each reads a part of the same minutes.
    rows.push(...(await stretchOf(database, stretch, (tier) => objectivesAt(versions, tier, stretch.from))));
  }
  return rows.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)) || a.from - b.from);
}

async function stretchOf(
  database: Database,
  window: { from: number; until: number },
  objectivesOfTier: ObjectivesOf,
): Promise<ObjectiveRow[]> {
  const table = new MinuteTable({ database, instance: 'reading' });
  const [all, models, regions, minutes] = await Promise.all([
    table.figures({ ...window, by: ['tier'] }),
    table.figures({ ...window, by: ['tier', 'modelId'] }),
    table.figures({ ...window, by: ['tier', 'modelId', 'region'] }),
    minutesIn(database, window),
  ]);
  const windowMinutes = Math.max(1, (window.until - window.from) / 60_000);
  return [...all, ...models, ...regions.filter(({ region }) => (region ?? '') !== '')]
    .filter(({ tier }) => TIER_NAMES.some((name) => name === tier))
    .map((figures) => {
      const { tier, modelId = '', region } = figures as ServiceFigures & { tier: TierName };
      const place = { tier, modelId, region: region ?? '' };
      const counted = minutes.get(nameOf(place)) ?? { measured: 0, unavailable: 0 };
      const objectives = objectivesOfTier(tier);
      return {
        ...place,
        ...window,
        requests: figures.requests,
        indicators: indicatorsOf(figures, counted, objectives),
        budget: minuteBudget(
          objectives.availability,
          windowMinutes,
          Math.min(counted.unavailable, windowMinutes),
        ),
      };
    });
}

/** Pure: what was measured against what was aimed at. */
function indicatorsOf(figures: ServiceFigures, minutes: Minutes, objectives: Objectives): Indicator[] {
  const { requests, failures, tooMany } = figures;
  const atLeast = (target: number, measured: number | null) => ({
    target,
    measured,
    met: measured === null ? null : measured >= target,
  });
  const atMost = (target: number, measured: number | null) => ({
    target,
    measured,
    met: measured === null ? null : measured <= target,
  });
  const share = (part: number, of: number): number | null => (of === 0 ? null : part / of);
  const available = minutes.measured - minutes.unavailable;
  return [
    { name: 'availability', ...atLeast(objectives.availability, share(available, minutes.measured)) },
    { name: 'ttft-p95', ...atMost(objectives.ttftP95Ms, figures.ttft.p95) },
    { name: 'ttlt-256-p95', ...atMost(objectives.ttltP95Ms[256], figures.ttlt256.p95) },
    { name: 'ttlt-512-p95', ...atMost(objectives.ttltP95Ms[512], figures.ttlt512.p95) },
    { name: 'server-errors', ...atMost(objectives.serverErrors, share(failures, requests)) },
    { name: 'too-many', ...atMost(objectives.tooMany, share(tooMany, requests + tooMany)) },
  ];
}

async function minutesIn(
  { sql }: Database,
  { from, until }: { from: number; until: number },
): Promise<Map<string, Minutes>> {
  const [since, to] = [new Date(from), new Date(until)];
  const above = STANDARD_SLA.minuteFailsAbovePpm;
  const rows = await sql<{ tier: TierName; model: string; region: string; measured: number; down: number }[]>`
    with counted as (
      select at, tier, model_id as model, region, sum(requests) as requests, sum(failures) as failures
      from service_minutes where at >= ${since} and at < ${to} group by 1, 2, 3, 4
    ),
    placed as (
      select at, tier, '' as model, '' as region, sum(requests) as requests, sum(failures) as failures
      from counted group by 1, 2
      union all
      select at, tier, model, '', sum(requests), sum(failures) from counted group by 1, 2, 3
      union all
      select at, tier, model, region, requests, failures from counted where region <> ''
    )
    select tier, model, region, count(*)::float8 as measured,
      (count(*) filter (where failures * 1000000 > requests * ${above}::bigint))::float8 as down
    from placed where requests > 0 group by 1, 2, 3`;
  return new Map(
    rows.map(({ tier, model, region, measured, down }) => [
      nameOf({ tier, modelId: model, region }),
      { measured, unavailable: down },
    ]),
  );
}

function nameOf({ tier, modelId, region }: { tier: string; modelId: string; region: string }): string {
  return [tier, modelId, region].join('\n');
}
