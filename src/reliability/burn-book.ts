import type { Database } from '#db/database.ts';
import type { TierName } from '#domain/tier.ts';
import type { IdMaker } from '#kit/id.ts';
import type { ExplainedAlert } from './burn-causes.ts';
import type { BurnGroup } from './burn-watch.ts';
import type { Channel } from './incident-book.ts';

/**
 * Error budgets that burn, as all processes of a market see them together: one burns while any process says so, and is over
 * when none did for a while. So its beginning and its end are told once, whoever sees them; but nothing is told of those that
 * something else explains, for as long as it does: people hear of a cause once.
 */
export interface BudgetAlert extends BurnGroup {
  readonly id: string;
  readonly rule: string;
  readonly severity: 'page' | 'ticket';
  readonly rate: number;
  readonly beganMs: number;
  readonly endedMs: number | null;
}

export interface BudgetNotice {
  readonly alert: BudgetAlert;
  readonly what: 'began' | 'ended';
}

/** How long nobody may have said that it burns until it is over. Looks are every ten seconds. */
const QUIET_MS = 60_000;

export class BurnBook {
  readonly #database: Database;
  readonly #makeId: IdMaker;

  constructor(parts: { database: Database; makeId: IdMaker }) {
    this.#database = parts.database;
    this.#makeId = parts.makeId;
  }

  /** Notes what burns now, and ends what nobody holds any more. */
  async note(alerts: readonly ExplainedAlert[], atMs: number): Promise<void> {
    const at = new Date(atMs);
    const { sql } = this.#database;
    for (const { tier, modelId, region, consumerId, explainedBy, rule, longRate } of alerts) {
      // oxlint-disable-next-line no-await-in-loop -- a few, and only while something burns.
      await sql`
        insert into budget_alerts (
          id, tier, model_id, region, consumer_id, rule, severity, rate, explained_by, began_at, last_held_at
        ) values (
          ${this.#makeId('bud')}, ${tier}, ${modelId}, ${region}, ${consumerId}, ${rule.name}, ${rule.severity},
          ${longRate}, ${explainedBy}, ${at}, ${at}
        ) on conflict (tier, model_id, region, consumer_id, rule) where ended_at is null
        do update set last_held_at = greatest(budget_alerts.last_held_at, excluded.last_held_at),
          -- What nothing explains any more is news of its own; what was told stays told.
          explained_by = case when budget_alerts.explained_by = '' then '' else excluded.explained_by end`;
    }
    await sql`
      update budget_alerts set ended_at = ${at}
      where ended_at is null and last_held_at <= ${new Date(atMs - QUIET_MS)}`;
  }

  /** What is to be told by a channel now, in its order, and is this process's to tell. */
  async takeDue(
    channel: Channel,
    about: { atMs: number; sinceMs: number; retryMs: number; triesMax: number },
  ): Promise<BudgetNotice[]> {
    const { atMs, sinceMs, retryMs, triesMax } = about;
    const [at, since] = [new Date(atMs), new Date(sinceMs)];
    return await this.#database.transaction(async (sql) => {
      await sql`
        insert into budget_notices (alert_id, what, channel, not_before)
        select id, 'began', ${channel}, ${at}::timestamptz from budget_alerts where began_at >= ${since} and explained_by = ''
        union all
        select id, 'ended', ${channel}, ${at} from budget_alerts where ended_at >= ${since} and explained_by = ''
        on conflict do nothing`;
      const rows = await sql<NoticeRow[]>`
        with due as (
          select n.alert_id, n.what from budget_notices n join budget_alerts a on a.id = n.alert_id
          where n.channel = ${channel} and n.delivered_at is null and n.not_before <= ${at} and n.tries < ${triesMax}
            and case n.what when 'began' then a.began_at else a.ended_at end >= ${since}
          order by case n.what when 'began' then a.began_at else a.ended_at end, n.alert_id, n.what
          limit 10 for update of n skip locked
        ), taken as (
          update budget_notices n set tries = tries + 1,
            not_before = ${at}::timestamptz + make_interval(secs => ${retryMs / 1000}::float8 * (1 << least(tries, 8)))
          from due where n.alert_id = due.alert_id and n.what = due.what and n.channel = ${channel}
          returning n.alert_id, n.what
        )
        select a.*, taken.what from budget_alerts a join taken on taken.alert_id = a.id
        order by case taken.what when 'began' then a.began_at else a.ended_at end, a.id, taken.what`;
      return rows.map((row) => ({
        what: row.what,
        alert: {
          id: row.id,
          tier: row.tier,
          modelId: row.model_id,
          region: row.region,
          consumerId: row.consumer_id,
          rule: row.rule,
          severity: row.severity,
          rate: row.rate,
          beganMs: row.began_at.getTime(),
          endedMs: row.ended_at?.getTime() ?? null,
        },
      }));
    });
  }

  async delivered(channel: Channel, { alert, what }: BudgetNotice, atMs: number): Promise<void> {
    await this.#database.sql`
      update budget_notices set delivered_at = ${new Date(atMs)}
      where alert_id = ${alert.id} and what = ${what} and channel = ${channel}`;
  }
}

interface NoticeRow {
  id: string;
  tier: TierName;
  model_id: string;
  region: string;
  consumer_id: string;
  rule: string;
  severity: 'page' | 'ticket';
  rate: number;
  began_at: Date;
  ended_at: Date | null;
  what: 'began' | 'ended';
}
