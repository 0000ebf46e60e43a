import type { Pico } from '#domain/money.ts';
import type { IdMaker } from '#kit/id.ts';
import { databaseGone, type Database, type Sql } from '#db/database.ts';
import { consumerAccount } from './chart.ts';
import type { LeaseStore } from './ports.ts';

const CHANNEL = 'lease_recall';

/**
 * Leases in PostgreSQL. Each change is one conditional statement that takes the account's row first and the lease's row
 * second, as every writer does.
 *
 * A connection can die between a statement and its answer. So each change leaves its id on the lease; the next change for
 * that consumer first looks whether the doubtful one was made, and completes or undoes it. Changes for one consumer must
 * come one at a time (`Holds` sees to that). Open the database given here with a long deadline: a server that stands still
 * and wakes up does what it was asked, and the answer must still be heard.
 */
export class Leases implements LeaseStore {
  readonly #database: Database;
  readonly #instance: string;
  readonly #makeId: IdMaker;
  readonly #doubts = new Map<string, { change: string; kind: 'grow' | 'give-back'; amount: Pico }>();

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
    await this.#settleDoubt(consumerId);
    const change = this.#makeId('chg');
    const [row] = await this.#change(consumerId, { change, kind: 'grow', amount: 0n }, (sql) =>
      sql<{ granted: Pico | null; elsewhere: Pico }[]>`
      with account as (
        select id, balance - held as available from accounts
        where id = ${consumerAccount(consumerId)} for no key update
      ), taken as (
        update accounts a
        set held = a.held + least(${want}::numeric, greatest(${atLeast}::numeric, trunc(account.available / 2)))
        from account where a.id = account.id and account.available >= ${atLeast}::numeric
        returning least(${want}::numeric, greatest(${atLeast}::numeric, trunc(account.available / 2))) as granted
      ), leased as (
        insert into leases as l (instance, consumer_id, amount, last_change, last_amount)
        select ${this.#instance}, ${consumerId}, granted, ${change}, granted from taken
        on conflict (instance, consumer_id) do update
        set amount = l.amount + excluded.amount, last_change = excluded.last_change, last_amount = excluded.last_amount
        returning 1
      )
      select
        (select granted from taken) as granted,
        (
          select coalesce(sum(amount), 0) from leases
          where consumer_id = ${consumerId} and instance <> ${this.#instance}
        ) as elsewhere,
        (select count(*) from leased) as leased`,
    );
    if (row?.granted) return { granted: row.granted };
    return { short: true, leasedElsewhere: row?.elsewhere ?? 0n };
  }

  async giveBack(consumerId: string, amount: Pico): Promise<void> {
    await this.#settleDoubt(consumerId);
    await this.#giveBack(consumerId, amount, this.#makeId('chg'));
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
    this.#doubts.clear();
  }

  async #giveBack(consumerId: string, amount: Pico, change: string): Promise<void> {
    const [row] = await this.#change(consumerId, { change, kind: 'give-back', amount }, (sql) =>
      sql<{ given: bigint }[]>`
      with account as (
        select id from accounts where id = ${consumerAccount(consumerId)} for no key update
      ), given as (
        update leases l set amount = l.amount - ${amount}::numeric, last_change = ${change}, last_amount = ${amount}::numeric
        from account
        where l.instance = ${this.#instance} and l.consumer_id = ${consumerId} and l.amount >= ${amount}::numeric
        returning account.id
      ), freed as (
        update accounts a set held = a.held - ${amount}::numeric from given where a.id = given.id returning 1
      )
      select count(*) as given from freed`,
    );
    if (row?.given !== 1n) throw new RangeError('More was given back than is leased.');
  }

  async #change<T>(
    consumerId: string,
    doubt: { change: string; kind: 'grow' | 'give-back'; amount: Pico },
    run: (sql: Sql) => PromiseLike<T>,
  ): Promise<T> {
    try {
      return await run(this.#database.sql);
    } catch (error) {
      if (databaseGone(error)) this.#doubts.set(consumerId, doubt);
      throw error;
    }
  }

  /** Brings the lease to what its owner believes: a lost grant is undone, a lost give-back is repeated. */
  async #settleDoubt(consumerId: string): Promise<void> {
    const doubt = this.#doubts.get(consumerId);
    if (!doubt) return;
    const [row] = await this.#database.sql<{ last_change: string; last_amount: Pico }[]>`
      select last_change, last_amount from leases where instance = ${this.#instance} and consumer_id = ${consumerId}`;
    const made = row?.last_change === doubt.change;
    // A failure in here leaves the doubt of the change that failed, which is the one to settle next.
    if (doubt.kind === 'grow' && made) await this.#giveBack(consumerId, row.last_amount, this.#makeId('chg'));
    if (doubt.kind === 'give-back' && !made) await this.#giveBack(consumerId, doubt.amount, this.#makeId('chg'));
    this.#doubts.delete(consumerId);
  }
}

/**
 * Hears other processes' recalls. `recalled` is told the consumer. `listening` runs at first and after each reconnect
 * (recalls in between were missed; whoever asked asks again).
 */
export async function hearRecalls(
  options: { database: Database; instance: string },
  recalled: (consumerId: string) => void,
): Promise<{ stop(): Promise<void> }> {
  return await options.database.listen(CHANNEL, (payload) => {
    const { from, consumer } = JSON.parse(payload) as { from: string; consumer: string };
    if (from !== options.instance) recalled(consumer);
  });
}
