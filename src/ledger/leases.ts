import { type Database, databaseGone, type Sql } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import type { IdMaker } from '#kit/id.ts';
import type { LeaseStore } from './ports.ts';

const CHANNEL = 'lease_recall';

interface Unsettled {
  /** To be given back. */
  owed: Pico;
  /** The change whose answer was lost; `amount` is what was given back by it, if it was made. */
  doubt: { change: string; kind: 'grow' | 'give-back'; amount: Pico } | undefined;
}

/**
 * Leases in PostgreSQL. Each change is one call of a function of the schema, which locks the account's row first and the
 * lease's row second, as every writer does.
 *
 * A connection can die between a statement and its answer. So each change leaves its id on the lease; the next change for
 * that consumer first looks whether the doubtful one was made. A grant that was made and not heard is owed back, and so is
 * what was to be given back and was not. Changes for one consumer must come one at a time (`Holds` sees to that). Open the
 * database given here with a long deadline: a server that stands still and wakes up does what it was asked, and the answer
 * must still be heard.
 */
export class Leases implements LeaseStore {
  readonly #database: Database;
  readonly #instance: string;
  readonly #makeId: IdMaker;
  /** Consumers whose lease may be more than its owner believes. */
  readonly #unsettled = new Map<string, Unsettled>();

  constructor(options: { database: Database; instance: string; makeId: IdMaker }) {
    this.#database = options.database;
    this.#instance = options.instance;
    this.#makeId = options.makeId;
  }

  /** As the port says. A consumer who has much available gets at most half of it beyond `atLeast`, to leave room for others. */
  async grow(
    consumerId: string,
    { atLeast, want }: { atLeast: Pico; want: Pico },
  ): Promise<{ granted: Pico } | { short: true; leasedElsewhere: Pico }> {
    await this.#settle(consumerId);
    const change = this.#makeId('chg');
    const [row] = await this.#change(
      consumerId,
      { change, kind: 'grow', amount: 0n },
      (sql) =>
        sql<{ granted: Pico | null; elsewhere: Pico }[]>`
      select
        grow_lease(${this.#instance}, ${consumerId}, ${atLeast}::numeric, ${want}::numeric, ${change}) as granted,
        (
          select coalesce(sum(amount), 0) from leases
          where consumer_id = ${consumerId} and instance <> ${this.#instance}
        ) as elsewhere`,
    );
    if (row?.granted) return { granted: row.granted };
    return { short: true, leasedElsewhere: row?.elsewhere ?? 0n };
  }

  async giveBack(consumerId: string, amount: Pico): Promise<void> {
    const unsettled = this.#unsettledOf(consumerId);
    unsettled.owed += amount;
    await this.#settle(consumerId);
  }

  async recall(consumerId: string): Promise<void> {
    await this.#database.sql`
      select pg_notify(${CHANNEL}, ${JSON.stringify({ from: this.#instance, consumer: consumerId })})`;
  }

  /**
   * Returns everything that was leased to this process's name. For the start, when nothing is promised to anybody yet and
   * every record of the life before was posted: what is posted afterwards would find no lease.
   */
  async releaseAll(): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await sql`
        select from accounts where id in (
          select 'consumer:' || consumer_id from leases where instance = ${this.#instance}
        ) order by id for no key update`;
      await sql`
        with gone as (delete from leases where instance = ${this.#instance} returning consumer_id, amount)
        update accounts a set held = a.held - gone.amount from gone where a.id = 'consumer:' || gone.consumer_id`;
    });
    this.#unsettled.clear();
  }

  /** Brings the lease to what its owner believes: clears up the doubtful change and gives back what is owed. */
  async #settle(consumerId: string): Promise<void> {
    const unsettled = this.#unsettled.get(consumerId);
    if (!unsettled) return;
    const { doubt } = unsettled;
    if (doubt) {
      const [row] = await this.#database.sql<{ last_change: string; last_amount: Pico }[]>`
        select last_change, last_amount from leases where instance = ${this.#instance} and consumer_id = ${consumerId}`;
      if (row?.last_change === doubt.change) {
        unsettled.owed += doubt.kind === 'grow' ? row.last_amount : -doubt.amount;
      }
      unsettled.doubt = undefined;
    }
    const { owed } = unsettled;
    if (owed > 0n) {
      const change = this.#makeId('chg');
      const [row] = await this.#change(
        consumerId,
        { change, kind: 'give-back', amount: owed },
        (sql) =>
          sql<{ given: boolean }[]>`
        select give_back_lease(${this.#instance}, ${consumerId}, ${owed}::numeric, ${change}) as given`,
      );
      this.#unsettled.delete(consumerId);
      if (!row?.given) throw new RangeError('More was given back than is leased.');
    }
    this.#unsettled.delete(consumerId);
  }

  async #change<T>(
    consumerId: string,
    doubt: NonNullable<Unsettled['doubt']>,
    run: (sql: Sql) => PromiseLike<T>,
  ): Promise<T> {
    try {
      return await run(this.#database.sql);
    } catch (error) {
      if (databaseGone(error)) this.#unsettledOf(consumerId).doubt = doubt;
      throw error;
    }
  }

  #unsettledOf(consumerId: string): Unsettled {
    let unsettled = this.#unsettled.get(consumerId);
    if (!unsettled) {
      unsettled = { owed: 0n, doubt: undefined };
      this.#unsettled.set(consumerId, unsettled);
    }
    return unsettled;
  }
}

/**
 * Hears other processes' recalls. `recalled` is told the consumer. `listening` runs at first and after each reconnect
 * (recalls in between were missed; whoever asked asks again).
 */
export async function hearRecalls(
  options: { database: Database; instance: string },
  recalled: (consumerId: string) => void,
): Promise<{ stop: () => Promise<void> }> {
  return await options.database.listen(CHANNEL, (payload) => {
    const { from, consumer } = JSON.parse(payload) as { from: string; consumer: string };
    if (from !== options.instance) recalled(consumer);
  });
}
