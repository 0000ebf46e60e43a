import type { Database, Sql } from '#db/database.ts';
import { PICO_PER_USD, type Pico } from '#domain/money.ts';
import { DEFAULT_PLAN, PLANS, type Plan, type PlanName, planOf } from '#domain/plan.ts';
import { lockPlan, planNameOf, setPlan } from '#identity/consumers.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { lockAvailable, writeEntries } from '#ledger/book.ts';
import { planFeeEntry } from '#ledger/funds-entries.ts';

/**
 * The monthly fee of plans that have one, taken from the balance in rounds. Whoever is on such a plan and has no period that
 * runs now pays for the next one; whoever cannot goes back to paying as it goes. A period is a row that names its beginning,
 * and its fee an entry of the same name: two rounds at once take one fee.
 */
export class PlanFees {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(parts: { database: Database; clock: Clock; log: Logger }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  async round(): Promise<{ charged: number; downgraded: number }> {
    const at = this.#clock.wallMs();
    const paid = Object.values(PLANS).filter(({ monthlyCents }) => monthlyCents > 0);
    const due = await this.#database.sql<{ id: string }[]>`
      select c.id from consumers c
      where c.plan = any(${paid.map(({ name }) => name)}::text[]) and not exists (
        select from plan_periods p
        where p.consumer_id = c.id and p.plan = c.plan and p.starts_at <= ${new Date(at)} and p.ends_at > ${new Date(at)}
      )
      order by c.id limit ${AT_ONCE}`;
    let charged = 0;
    let downgraded = 0;
    for (const { id } of due) {
      const outcome = await this.settle(id);
      if (outcome === 'charged') charged += 1;
      if (outcome === 'downgraded') {
        downgraded += 1;
        this.#log.info({ consumer: id }, 'A plan could not be paid and ended.');
      }
    }
    return { charged, downgraded };
  }

  /** Takes the fee of a consumer that owes one, or ends its plan. `current`: nothing is due. */
  async settle(consumerId: string): Promise<'charged' | 'downgraded' | 'current'> {
    return await this.#database.transaction(async (sql) => {
      const taken = await this.#take(sql, consumerId, planOf(await lockPlan(sql, consumerId)));
      if (taken !== 'short') return taken;
      await setPlan({ sql }, { id: consumerId, plan: DEFAULT_PLAN, at: this.#clock.wallMs() });
      return 'downgraded';
    });
  }

  /** Puts a consumer on a plan of its choice. `short`: its balance does not cover the first month, and nothing changed. */
  async choose(consumerId: string, plan: PlanName): Promise<'chosen' | 'short'> {
    return await this.#database.transaction(async (sql) => {
      await lockPlan(sql, consumerId);
      if ((await this.#take(sql, consumerId, PLANS[plan])) === 'short') return 'short';
      await setPlan({ sql }, { id: consumerId, plan, at: this.#clock.wallMs() });
      return 'chosen';
    });
  }

  /** Pays for a period of a plan, unless one runs. The consumer's plan is locked. */
  async #take(sql: Sql, consumerId: string, plan: Plan): Promise<'charged' | 'current' | 'short'> {
    const at = this.#clock.wallMs();
    const fee: Pico = (BigInt(plan.monthlyCents) * PICO_PER_USD) / 100n;
    if (fee === 0n) return 'current';
    const [last] = await sql<{ ends_at: Date }[]>`
      select ends_at from plan_periods where consumer_id = ${consumerId} and plan = ${plan.name}
      order by starts_at desc limit 1`;
    const ended = last?.ends_at.getTime();
    if (ended !== undefined && ended > at) return 'current';
    // A period that ended a moment ago is followed without a gap; one that ended long ago by one that begins now.
    const start = ended !== undefined && at - ended < FOLLOWS_WITHIN_MS ? ended : at;
    if (((await lockAvailable(sql, consumerId)) ?? 0n) < fee) return 'short';
    await sql`
      insert into plan_periods (consumer_id, plan, starts_at, ends_at, fee)
      values (${consumerId}, ${plan.name}, ${new Date(start)}, ${new Date(monthAfter(start))}, ${fee})`;
    const id = `${consumerId}:${plan.name}:${new Date(start).toISOString()}`;
    await writeEntries(sql, [planFeeEntry({ id, at, amount: fee, consumerId })]);
    return 'charged';
  }

  /** The plan of a consumer, and until when it is paid for where it has a fee. Wall milliseconds. */
  async standing(consumerId: string): Promise<{ plan: Plan; paidUntil: number | undefined }> {
    const plan = planOf(await planNameOf(this.#database, consumerId));
    const [row] = await this.#database.sql<{ ends_at: Date | null }[]>`
      select max(ends_at) as ends_at from plan_periods where consumer_id = ${consumerId} and plan = ${plan.name}`;
    return { plan, paidUntil: row?.ends_at?.getTime() };
  }
}

const AT_ONCE = 1_000;
const FOLLOWS_WITHIN_MS = 3 * 86_400_000;

/** The same day of the next month, or its last one where it is shorter. */
export function monthAfter(wallMs: number): number {
  const date = new Date(wallMs);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + 1);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, last));
  return date.getTime();
}
