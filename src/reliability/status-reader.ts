import type { Database } from '#db/database.ts';
import { dayOf, dayStart } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { StatusBody } from '#wire/status.ts';
import { availabilityByDay } from './availability.ts';
import type { IncidentBook } from './incident-book.ts';
import { windowsSince } from './maintenance.ts';
import type { MinuteTable } from './minute-table.ts';
import { MergedDurations } from './sketch.ts';
import { type DayCounts, type LastDay, lastDayKey, type StatusFacts, statusReport } from './status-report.ts';

const DAYS = 90;
const HOUR_MS = 3_600_000;
/** A public page: however many look, the database is asked so often and no more. */
const FRESH_MS = 15_000;
/** Days that are over change only when a process comes back late. */
const PAST_FRESH_MS = 600_000;
const INCIDENTS_MAX = 50;

/** Reads what the public status is made of, and keeps the last report: shown, too, while the database is away. */
export class StatusReader {
  readonly #parts: StatusParts;
  #report: { atMs: number; body: StatusBody } | undefined;
  #reading: Promise<StatusBody> | undefined;
  #past: { atMs: number; today: number; days: readonly DayCounts[] } | undefined;

  constructor(parts: StatusParts) {
    this.#parts = parts;
  }

  /** The report, at most a quarter of a minute old. Rejects only when there never was one. */
  async report(): Promise<StatusBody> {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#report && nowMs - this.#report.atMs < FRESH_MS) return this.#report.body;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    try {
      return await this.#reading;
    } catch (error) {
      if (!this.#report) throw error;
      this.#parts.log.warn({ err: error }, 'The status could not be read; the last one is shown.');
      return this.#report.body;
    }
  }

  async #read(): Promise<StatusBody> {
    const { clock, database, incidents, models, ready, frozen } = this.#parts;
    const atMs = clock.wallMs();
    const today = dayOf(atMs);
    const fromDay = today - DAYS + 1;
    const since = dayStart(fromDay);
    const [days, lastDay, known, windows] = await Promise.all([
      this.#days(fromDay, today),
      this.#lastDay(atMs),
      incidents.since(since, INCIDENTS_MAX),
      windowsSince(database.sql, since),
    ]);
    const steps = await incidents.steps(known.map(({ id }) => id));
    const pools = new Map<string, readonly string[]>();
    for (const { id } of models()) pools.set(id, ready(id));
    // What nobody serves, served or missed is no component of this market.
    const seen = new Set([...days.map(({ modelId }) => modelId), ...known.map(({ modelId }) => modelId)]);
    const shown = models().filter(({ id }) => seen.has(id) || (pools.get(id)?.length ?? 0) > 0);
    const facts: StatusFacts = {
      atMs,
      fromDay,
      toDay: today,
      frozen: frozen(),
      models: shown,
      days,
      lastDay,
      ready: pools,
      incidents: known,
      steps,
      windows,
    };
    const body = statusReport(facts);
    this.#report = { atMs: clock.nowMs(), body };
    return body;
  }

  async #days(fromDay: number, today: number): Promise<DayCounts[]> {
    const nowMs = this.#parts.clock.nowMs();
    if (!this.#past || this.#past.today !== today || nowMs - this.#past.atMs >= PAST_FRESH_MS) {
      this.#past = { atMs: nowMs, today, days: await this.#counts(fromDay, today - 1) };
    }
    return [...this.#past.days, ...(await this.#counts(today, today))];
  }

  /** Hours where they are added up, minutes elsewhere; everywhere, and by region where one is known. */
  async #counts(fromDay: number, toDay: number): Promise<DayCounts[]> {
    const [from, until] = [new Date(dayStart(fromDay)), new Date(dayStart(toDay + 1))];
    const rows = await this.#parts.database.sql<Row[]>`
      with served as (
        select at, model_id, region, requests, failures from service_hours where at >= ${from} and at < ${until}
        union all
        select at, model_id, region, requests, failures from service_minutes
        where at >= ${from} and at < ${until} and not rolled
      ),
      counted as (
        select date_trunc('day', at, 'UTC') as day, model_id, region, requests, failures, 0 as probes, 0 as probe_failures
        from served where region <> ''
        union all
        select date_trunc('day', at, 'UTC'), model_id, '', requests, failures, 0, 0 from served
        union all
        select date_trunc('day', at, 'UTC'), model_id, region, 0, 0, probes, failures from probe_minutes
        where at >= ${from} and at < ${until}
      )
      select day, model_id, region, sum(requests)::float8 as requests, sum(failures)::float8 as failures,
        sum(probes)::float8 as probes, sum(probe_failures)::float8 as probe_failures
      from counted group by day, model_id, region`;
    const minutes = new Map(
      (await availabilityByDay(this.#parts.database.sql, from, until)).map((each) => [
        `${each.modelId}\n${each.region}\n${each.day}`,
        each,
      ]),
    );
    const minutesOf = (modelId: string, region: string, day: number) => {
      const { measured = 0, unavailable = 0 } = minutes.get(`${modelId}\n${region}\n${day}`) ?? {};
      return { minutes: measured, minutesDown: unavailable };
    };
    return rows.map((row) => ({
      ...minutesOf(row.model_id, row.region, dayOf(row.day.getTime())),
      modelId: row.model_id,
      region: row.region,
      day: dayOf(row.day.getTime()),
      requests: row.requests,
      failures: row.failures,
      probes: row.probes,
      probeFailures: row.probe_failures,
    }));
  }

  async #lastDay(atMs: number): Promise<Map<string, LastDay>> {
    const { table, database } = this.#parts;
    const firstHour = Math.floor(atMs / HOUR_MS) * HOUR_MS - 23 * HOUR_MS;
    const from = new Date(firstHour);
    const [everywhere, byRegion, rows] = await Promise.all([
      table.figures({ from: firstHour, until: atMs, by: ['modelId'] }),
      table.figures({ from: firstHour, until: atMs, by: ['modelId', 'region'] }),
      database.sql<{ at: Date; model_id: string; region: string; ttft: string }[]>`
        select at, model_id, region, ttft from service_hours where at >= ${from} and ttft is not null
        union all
        select at, model_id, region, ttft from service_minutes
        where at >= ${from} and not rolled and ttft is not null`,
    ]);
    const figures = [...everywhere, ...byRegion.filter(({ region }) => (region ?? '') !== '')];
    const hours = new Map<string, MergedDurations>();
    for (const { at, model_id, region, ttft } of rows) {
      const hour = Math.floor((at.getTime() - firstHour) / HOUR_MS);
      for (const place of new Set(['', region])) {
        const key = `${lastDayKey(model_id, place)}\n${hour}`;
        const merged = hours.get(key) ?? new MergedDurations();
        hours.set(key, merged);
        merged.add(ttft);
      }
    }
    return new Map(
      figures.map((each) => [
        lastDayKey(each.modelId ?? '', each.region ?? ''),
        {
          ttftP50Ms: each.ttft.p50,
          ttftP95Ms: each.ttft.p95,
          ttlt256P95Ms: each.ttlt256.p95,
          requests: each.requests,
          failures: each.failures,
          tooMany: each.tooMany,
          tokensPerS: each.tokensPerS,
          ttftP95ByHour: Array.from(
            { length: 24 },
            (_, hour) =>
              hours.get(`${lastDayKey(each.modelId ?? '', each.region ?? '')}\n${hour}`)?.percentile(95) ??
              null,
          ),
        },
      ]),
    );
  }
}

export interface StatusParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly table: MinuteTable;
  readonly incidents: IncidentBook;
  readonly models: () => readonly { readonly id: string; readonly name: string }[];
  /** The region of each provider that could serve a model now. */
  readonly ready: (modelId: string) => readonly string[];
  readonly frozen: () => boolean;
}

interface Row {
  day: Date;
  model_id: string;
  region: string;
  requests: number;
  failures: number;
  probes: number;
  probe_failures: number;
}
