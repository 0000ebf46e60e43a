import type { Database } from '#db/database.ts';
import { dayName, dayOf, dayStart } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';

/**
 * Keeps the minutes in which providers were there: had a live agent at this market, by its connection and its heartbeats.
 * A minute is a bit of its day, so any number of processes may note it, and one that dies loses the minute it was in. The
 * market's own minutes are noted in the same transaction: whatever could not be noted was no minute of the market either,
 * and our outage is nobody's downtime.
 */
export class Presence {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #present: () => Iterable<{ providerId: string }>;
  #minute = -1;
  #noted = new Set<string>();
  readonly #rounds: Rounds;

  constructor(parts: {
    database: Database;
    clock: Clock;
    log: Logger;
    /** Who has a live agent now; a provider may come more than once. */
    present: () => Iterable<{ providerId: string }>;
  }) {
    const { database, clock, log, present } = parts;
    this.#database = database;
    this.#clock = clock;
    this.#present = present;
    this.#rounds = new Rounds(clock, {
      periodMs: LOOK_EVERY_MS,
      work: () => this.look(),
      failed: (error) =>
        log.warn({ err: error }, 'Who is present could not be noted; the minute counts for nobody.'),
    });
  }

  /** Notes who is there now, once a minute for each. */
  async look(): Promise<void> {
    const at = this.#clock.wallMs();
    const minute = Math.floor(at / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#noted = new Set();
    }
    const fresh = new Set<string>();
    for (const { providerId } of this.#present()) {
      if (!this.#noted.has(providerId)) fresh.add(providerId);
    }
    if (minute === this.#minute && fresh.size === 0) return;
    await notePresence(this.#database, at, [...fresh]);
    this.#minute = minute;
    for (const providerId of fresh) this.#noted.add(providerId);
  }

  async close(): Promise<void> {
    await this.#rounds.close();
  }
}

const LOOK_EVERY_MS = 15_000;
const MINUTE_MS = 60_000;
const MINUTES_OF_DAY = 1_440;

/** Notes the minute of an instant for the market and for these providers. Doing it again changes nothing. */
export async function notePresence(
  database: Database,
  at: number,
  providerIds: readonly string[],
): Promise<void> {
  const from = at - (at % MINUTE_MS);
  await notePresentMinutes(database, { from, until: from + MINUTE_MS, providerIds });
}

/** The same for the minutes that begin in [from, until), which are of one day. */
export async function notePresentMinutes(
  database: Database,
  about: { from: number; until: number; providerIds: readonly string[] },
): Promise<void> {
  const start = dayStart(dayOf(about.from));
  const day = dayName(dayOf(about.from));
  const first = Math.floor((about.from - start) / MINUTE_MS);
  const after = Math.min(MINUTES_OF_DAY, Math.ceil((about.until - start) / MINUTE_MS));
  const bits = '0'.repeat(first) + '1'.repeat(after - first) + '0'.repeat(MINUTES_OF_DAY - after);
  // Ordered, so that two processes wait for each other and never both.
  const ids = about.providerIds.toSorted();
  await database.transaction(async (sql) => {
    await sql`
      insert into market_minutes as m (day, minutes) values (${day}, ${bits}::text::bit(1440))
      on conflict (day) do update set minutes = m.minutes | excluded.minutes`;
    if (ids.length === 0) return;
    await sql`
      insert into provider_minutes as p (day, provider_id, minutes)
      select ${day}, id, ${bits}::text::bit(1440) from unnest(${ids}::text[]) as t(id) order by id
      on conflict (day, provider_id) do update set minutes = p.minutes | excluded.minutes`;
  });
}

export interface Uptime {
  /** Shares of the market's minutes, 0 to 1; undefined where there were none. */
  readonly week: number | undefined;
  readonly month: number | undefined;
}

/**
 * How much of the last 7 and 30 days, today included, providers were there: of everybody who was there at all, or of one.
 * Only days count that began after the provider came into its present state, so that nobody is blamed for the time before
 * it joined, or while it was kept out.
 */
export async function uptimesOf(
  database: Database,
  { at, providerId }: { at: number; providerId?: string | undefined },
): Promise<Map<string, Uptime>> {
  const today = dayOf(at);
  const [week, month, last] = [dayName(today - 6), dayName(today - 29), dayName(today)];
  const one = providerId ?? null;
  const rows = await database.sql<
    (Record<'there7' | 'all7' | 'there30' | 'all30', bigint> & { id: string })[]
  >`
    select p.id,
      coalesce(sum(bit_count(m.minutes & t.minutes)) filter (where m.day >= ${week}), 0)::bigint as "there7",
      coalesce(sum(bit_count(m.minutes)) filter (where m.day >= ${week}), 0)::bigint as "all7",
      coalesce(sum(bit_count(m.minutes & t.minutes)), 0)::bigint as "there30", sum(bit_count(m.minutes))::bigint as "all30"
    from providers p
    join market_minutes m on m.day >= ${month} and m.day <= ${last}
      and m.day > to_char(p.state_since at time zone 'UTC', 'YYYY-MM-DD')
    left join provider_minutes t on t.day = m.day and t.provider_id = p.id
    where (${one}::text is null or p.id = ${one})
      and exists (select from provider_minutes s where s.provider_id = p.id and s.day >= ${month})
    group by p.id`;
  const share = (there: bigint, all: bigint): number | undefined =>
    all === 0n ? undefined : Number(there) / Number(all);
  return new Map(
    rows.map((row) => [row.id, { week: share(row.there7, row.all7), month: share(row.there30, row.all30) }]),
  );
}

/** The share of the last seven days' minutes of the market, today's included, in which a provider was there, in percent. */
export async function uptimePercent(
  database: Database,
  { providerId, at }: { providerId: string; at: number },
): Promise<number | undefined> {
  const [row] = await database.sql<{ there: bigint; all: bigint }[]>`
    select coalesce(sum(bit_count(m.minutes)), 0)::bigint as all,
      coalesce(sum(bit_count(m.minutes & p.minutes)), 0)::bigint as there
    from market_minutes m left join provider_minutes p on p.day = m.day and p.provider_id = ${providerId}
    where m.day > ${dayName(dayOf(at) - 7)} and m.day <= ${dayName(dayOf(at))}`;
  if (!row || row.all === 0n) return undefined;
  return Number((row.there * 10_000n) / row.all) / 100;
}
