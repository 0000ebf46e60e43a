import type { Database } from '#db/database.ts';
import type { PlanName } from '#domain/plan.ts';
import { noteEvent } from './account-events.ts';
import { lockPlan, setPlan } from './consumers.ts';

/** A consumer as operators see it. */
export interface ConsumerRecord {
  readonly id: string;
  readonly name: string;
  /** Of its user, where somebody signs in for it. */
  readonly email: string | null;
  readonly plan: string;
  readonly keys: number;
  /** Wall milliseconds. */
  readonly createdAt: number;
  readonly suspendedAt: number | null;
  readonly suspendedBecause: string;
}

/** What operators ask and decide about consumers. */
export class ConsumerDesk {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Consumers whose id, name or e-mail address has `text` in it, newest first; older than `before` where that is named. */
  async search(which: {
    text?: string | undefined;
    suspended?: boolean | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<ConsumerRecord[]> {
    const { text, suspended, before, limit } = which;
    const { sql } = this.#database;
    const rows = await sql<Row[]>`
      ${this.#columns()}
      where true
        ${
          text === undefined
            ? sql``
            : sql`and (position(lower(${text}) in lower(c.name)) > 0 or position(lower(${text}) in coalesce(u.email_key, '')) > 0
                or c.id = ${text})`
        }
        ${suspended === undefined ? sql`` : sql`and (c.suspended_at is not null) = ${suspended}`}
        ${
          before === undefined
            ? sql``
            : sql`and (c.created_at, c.id) < (select b.created_at, b.id from consumers b where b.id = ${before})`
        }
      order by c.created_at desc, c.id desc limit ${limit}`;
    return rows.map(recordOf);
  }

  async find(id: string): Promise<ConsumerRecord | undefined> {
    const [row] = await this.#database.sql<Row[]>`${this.#columns()} where c.id = ${id}`;
    return row && recordOf(row);
  }

  /** Refuses a consumer's keys from now on, or no longer. False when it is so already, or there is no such consumer. */
  async suspend(change: {
    id: string;
    suspended: boolean;
    because: string;
    actor: string;
    at: number;
  }): Promise<boolean> {
    const { id, suspended, because, actor, at } = change;
    return await this.#database.transaction(async (sql) => {
      const [changed] = await sql`
        update consumers set
          suspended_at = ${suspended ? new Date(at) : null}, suspended_because = ${suspended ? because : ''}
        where id = ${id} and (suspended_at is not null) <> ${suspended} returning id`;
      if (!changed) return false;
      const what = suspended ? 'consumer-suspended' : 'consumer-restored';
      await noteEvent(sql, { at, actor, what, about: id, detail: { because } });
      return true;
    });
  }

  /** Puts a consumer on a plan without asking for its fee. Answers the plan before; undefined for nobody. */
  async setPlan(change: {
    id: string;
    plan: PlanName;
    actor: string;
    at: number;
  }): Promise<string | undefined> {
    const { id, plan, actor, at } = change;
    return await this.#database.transaction(async (sql) => {
      const before = await lockPlan(sql, id);
      if (before === undefined || before === plan) return before;
      await setPlan({ sql }, { id, plan, at });
      await noteEvent(sql, { at, actor, what: 'plan-set', about: id, detail: { before, plan } });
      return before;
    });
  }

  #columns() {
    return this.#database.sql`
      select c.id, c.name, u.email, c.plan, c.created_at, c.suspended_at, c.suspended_because,
        (select count(*) from keys k where k.consumer_id = c.id and k.revoked_at is null) as keys
      from consumers c left join users u on u.consumer_id = c.id`;
  }
}

interface Row {
  id: string;
  name: string;
  email: string | null;
  plan: string;
  keys: bigint;
  created_at: Date;
  suspended_at: Date | null;
  suspended_because: string;
}

function recordOf(row: Row): ConsumerRecord {
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    plan: row.plan,
    keys: Number(row.keys),
    createdAt: row.created_at.getTime(),
    suspendedAt: row.suspended_at?.getTime() ?? null,
    suspendedBecause: row.suspended_because,
  };
}
