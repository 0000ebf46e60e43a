import type { Database, Sql } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { PROBER } from '#domain/prober.ts';
import { type TierName, tierOfPlan } from '#domain/tier.ts';
import { monthOf, monthStart } from '#domain/window.ts';
import { ERRORS } from '#wire/errors.ts';
import { slaCredits } from './credits.ts';
import type { Incident } from './incident-book.ts';
import { exclusionOf, windowsSince } from './maintenance.ts';
import { objectivesAt, versionsOf } from './objective-terms.ts';
import { type MinuteBudget, minuteBudget } from './objectives.ts';
import { STANDARD_SLA } from './sla-terms.ts';

/** What an incident did, read from what was measured while it was open. */
export interface Impact {
  readonly requests: number;
  readonly failures: number;
  /** Minutes in which more of the requests failed than an available minute may have, or in which every probe did. */
  readonly unavailableMinutes: number;
  /** Of the month in which it began, with everything else that happened to the model in it. */
  readonly budget: MinuteBudget;
  readonly consumers: readonly AffectedConsumer[];
}

export interface AffectedConsumer {
  readonly id: string;
  readonly tier: TierName;
  readonly requests: number;
  readonly failures: number;
  /** Of the month, if nothing else happens in it, by the standard terms; undefined where nothing was agreed (Hobby). */
  readonly credit: Pico | undefined;
}

const CONSUMERS_MAX = 200;
const OUR_FAULTS = Object.entries(ERRORS)
  .filter(([, row]) => row.spendsBudget)
  .map(([code]) => code);

/**
 * Reads the impact. Affected are consumers whose requests failed, or found nobody to be asked; of the latter the minute is
 * known and not the second, so the minute in which it began counts whole. Credits here are what the month comes to if nothing
 * else happens in it; what is booked is computed when it is settled, with entered exclusions and probes.
 */
export async function impactOf(database: Database, incident: Incident, nowMs: number): Promise<Impact> {
  const { sql } = database;
  const until = incident.resolvedMs ?? nowMs;
  const month = monthOf(incident.openedMs);
  const whole = { from: monthStart(month), until: monthStart(month + 1) };
  const during = await minutesOf(sql, incident, { from: floorMinute(incident.openedMs), until });
  const inMonth = await minutesOf(sql, incident, { from: whole.from, until: Math.min(whole.until, nowMs) });
  // As it stood when the incident began.
  const { availability } = objectivesAt(await versionsOf(sql), 'pro', incident.openedMs);
  return {
    requests: during.requests,
    failures: during.failures,
    unavailableMinutes: during.unavailable,
    budget: minuteBudget(availability, (whole.until - whole.from) / 60_000, inMonth.unavailable),
    consumers: await consumersOf(sql, incident, { until, month: whole }),
  };
}

interface Span {
  readonly from: number;
  readonly until: number;
}

async function minutesOf(
  sql: Sql,
  { modelId, region }: Incident,
  { from, until }: Span,
): Promise<{ requests: number; failures: number; unavailable: number }> {
  const [since, to] = [new Date(from), new Date(until)];
  const above = STANDARD_SLA.minuteFailsAbovePpm;
  const [row] = await sql<{ requests: number; failures: number; unavailable: number }[]>`
    with served as (
      select at, sum(requests)::float8 as requests, sum(failures)::float8 as failures from service_minutes
      where at >= ${since} and at < ${to} and (${modelId} = '' or model_id = ${modelId})
        and (${region} = '' or region = ${region})
      group by at
    ),
    probed as (
      select at, sum(probes) as probes, sum(failures) as failures from probe_minutes
      where at >= ${since} and at < ${to} and (${modelId} = '' or model_id = ${modelId}) and region = ${region}
      group by at
    )
    select coalesce(sum(s.requests), 0)::float8 as requests, coalesce(sum(s.failures), 0)::float8 as failures,
      count(*) filter (
        where s.failures * 1000000 > s.requests * ${above}::float8
          or (coalesce(s.requests, 0) = 0 and p.probes > 0 and p.failures = p.probes)
      )::float8 as unavailable
    from served s full join probed p on p.at = s.at`;
  return row ?? { requests: 0, failures: 0, unavailable: 0 };
}

async function consumersOf(
  sql: Sql,
  { modelId, openedMs }: Incident,
  about: { until: number; month: Span },
): Promise<AffectedConsumer[]> {
  const { until, month } = about;
  const rows = await sql<{ id: string; plan: string; requests: number; failures: number }[]>`
    with asked as (
      select consumer_id, 1::bigint as requests, error_code as code from usage
      where at >= ${new Date(openedMs)} and at < ${new Date(until)} and (${modelId} = '' or model_id = ${modelId})
      union all
      select consumer_id, requests, code from consumer_refusals
      where at >= ${new Date(floorMinute(openedMs))} and at < ${new Date(until)}
        and (${modelId} = '' or model_id = ${modelId})
    )
    select a.consumer_id as id, c.plan, sum(a.requests)::float8 as requests,
      (sum(a.requests) filter (where a.code = any(${OUR_FAULTS}::text[])))::float8 as failures
    from asked a join consumers c on c.id = a.consumer_id
    where a.consumer_id <> ${PROBER.ownerId}
    group by 1, 2 having sum(a.requests) filter (where a.code = any(${OUR_FAULTS}::text[])) > 0
    order by failures desc, id limit ${CONSUMERS_MAX}`;
  const exclusions = (await windowsSince(sql, month.from)).map(exclusionOf);
  const found: AffectedConsumer[] = [];
  for (const { id, plan, requests, failures } of rows) {
    const tier = tierOfPlan(plan);
    // oxlint-disable-next-line no-await-in-loop -- for a person who waits, a few at a time.
    const credit = tier === 'hobby' ? undefined : await creditOf(sql, id, month, exclusions);
    found.push({ id, tier, requests, failures, credit });
  }
  return found;
}

async function creditOf(
  sql: Sql,
  consumerId: string,
  { from, until }: Span,
  exclusions: Parameters<typeof slaCredits>[0]['exclusions'],
): Promise<Pico> {
  const minutes = await sql<{ minute: number; requests: number; failures: number }[]>`
    with asked as (
      select at, 1::bigint as requests, error_code as code from usage
      where consumer_id = ${consumerId} and at >= ${new Date(from)} and at < ${new Date(until)}
      union all
      select at, requests, code from consumer_refusals
      where consumer_id = ${consumerId} and at >= ${new Date(from)} and at < ${new Date(until)}
    )
    select floor(extract(epoch from at) / 60)::float8 as minute, sum(requests)::float8 as requests,
      coalesce(sum(requests) filter (where code = any(${OUR_FAULTS}::text[])), 0)::float8 as failures
    from asked where code is null or code = any(${OUR_FAULTS}::text[])
    group by 1`;
  const hours = await sql<{ hour: number; requests: number; p95: number }[]>`
    select floor(extract(epoch from at) / 3600)::float8 as hour, count(*)::float8 as requests,
      percentile_disc(0.95) within group (order by ttft_ms)::float8 as p95
    from usage where consumer_id = ${consumerId} and at >= ${new Date(from)} and at < ${new Date(until)}
      and ttft_ms is not null
    group by 1`;
  const [paid] = await sql<{ fee: Pico }[]>`
    select coalesce(sum(charge), 0)::numeric as fee from usage
    where consumer_id = ${consumerId} and at >= ${new Date(from)} and at < ${new Date(until)}`;
  const first = from / 60_000;
  return slaCredits(
    {
      from: first,
      until: until / 60_000,
      minutes: minutes.map((each) => ({ ...each, probes: 0, probeFailures: 0 })),
      hours: hours.map(({ hour, requests, p95 }) => ({ hour, requests, ttftP95Ms: p95 })),
      exclusions,
      fee: paid?.fee ?? 0n,
    },
    STANDARD_SLA,
  ).credit;
}

function floorMinute(ms: number): number {
  return Math.floor(ms / 60_000) * 60_000;
}
