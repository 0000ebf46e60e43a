import type { Sql } from '#db/database.ts';
import { dayOf } from '#domain/window.ts';
import { STANDARD_SLA } from './sla-terms.ts';

/**
 * Availability in one-minute intervals, as the objectives and agreements mean it: a minute is unavailable when more of its
 * requests failed than an available minute may have, or, where nobody asked, when every probe failed. Minutes that nobody
 * measured are in no figure.
 *
 * An hour is counted when it is added up (`minute-table.ts`), because its minutes are dropped some day; hours that are not
 * added up yet, and those with probes alone, are counted when they are asked for.
 */
export interface DayMinutes {
  readonly modelId: string;
  /** `''`: everywhere. */
  readonly region: string;
  /** Days since 1970. */
  readonly day: number;
  readonly measured: number;
  readonly unavailable: number;
}

/** Counts an hour that is being added up, within that transaction. */
export async function keepAvailability(sql: Sql, hour: Date, until: Date): Promise<void> {
  await sql`delete from service_availability where at = ${hour}`;
  await sql`
    with ${minutesOf(sql, hour, until)}
    insert into service_availability (at, model_id, region, measured, unavailable)
    select ${hour}, model_id, region, count(*), count(*) filter (where down) from minutes group by model_id, region`;
}

export async function availabilityByDay(sql: Sql, from: Date, until: Date): Promise<DayMinutes[]> {
  const rows = await sql<
    { day: Date; model_id: string; region: string; measured: number; unavailable: number }[]
  >`
    with ${minutesOf(sql, from, until)}, kept as (
      select at, model_id, region, measured, unavailable from service_availability
      where at >= ${from} and at < ${until}
    ), live as (
      select date_trunc('hour', at, 'UTC') as at, model_id, region, count(*) as measured,
        count(*) filter (where down) as unavailable
      from minutes m
      where not exists (select from service_availability k where k.at = date_trunc('hour', m.at, 'UTC'))
        -- Of an hour whose minutes were dropped before anybody counted them, probes alone say too little.
        and (m.asked or not exists (
          select from service_hours h where h.at = date_trunc('hour', m.at, 'UTC') and h.model_id = m.model_id
            and not exists (select from service_minutes s where s.at >= h.at and s.at < h.at + interval '1 hour')
        ))
      group by 1, 2, 3
    )
    select date_trunc('day', at, 'UTC') as day, model_id, region, sum(measured)::float8 as measured,
      sum(unavailable)::float8 as unavailable
    from (select * from kept union all select * from live) as hours group by 1, 2, 3`;
  return rows.map((row) => ({
    modelId: row.model_id,
    region: row.region,
    day: dayOf(row.day.getTime()),
    measured: row.measured,
    unavailable: row.unavailable,
  }));
}

/** Every measured minute of a window, everywhere and by region, and whether it was down: `minutes`, for a `with`. */
function minutesOf(sql: Sql, from: Date, until: Date) {
  const above = STANDARD_SLA.minuteFailsAbovePpm;
  return sql`
    served as (
      select at, model_id, region, sum(requests) as requests, sum(failures) as failures from service_minutes
      where at >= ${from} and at < ${until} and region <> '' group by 1, 2, 3
      union all
      select at, model_id, '', sum(requests), sum(failures) from service_minutes
      where at >= ${from} and at < ${until} group by 1, 2
    ),
    probed as (
      select at, model_id, region, sum(probes) as probes, sum(failures) as failures from probe_minutes
      where at >= ${from} and at < ${until} group by 1, 2, 3
    ),
    minutes as (
      select coalesce(s.at, p.at) as at, coalesce(s.model_id, p.model_id) as model_id,
        coalesce(s.region, p.region) as region, coalesce(s.requests, 0) > 0 as asked,
        coalesce(s.failures * 1000000 > s.requests * ${above}::bigint, false)
          or (coalesce(s.requests, 0) = 0 and coalesce(p.failures = p.probes, false)) as down
      from served s full join probed p on p.at = s.at and p.model_id = s.model_id and p.region = s.region
      where coalesce(s.requests, 0) > 0 or coalesce(p.probes, 0) > 0
    )`;
}
