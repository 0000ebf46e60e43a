import type { Database } from '#db/database.ts';
import type { CorrectionRecord, UsageRecord } from '#domain/usage-record.ts';
import { silentLog } from '#kit/log.ts';
import { Book } from '#ledger/book.ts';
import { Leases } from '#ledger/leases.ts';
import { makeId } from './parties.ts';
import { correctionOf, usageOf } from './records.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A ledger to sell through without a market: what was served and found out is posted as a process of the market posts it. */
export class Sales {
  readonly #database: Database;
  readonly #instance = makeId('inst');

  constructor(database: Database) {
    this.#database = database;
  }

  book(at: number): Book {
    const clock = new VirtualClock(at);
    return new Book({ database: this.#database, instance: this.#instance, clock, log: silentLog });
  }

  /** Posts requests; their consumers must have the money. */
  async sell(...records: Partial<UsageRecord>[]): Promise<UsageRecord[]> {
    const leases = new Leases({ database: this.#database, instance: this.#instance, makeId });
    const lines = records.map((about) => usageOf({ id: makeId('req'), ...about }));
    const needed = new Map<string, bigint>();
    for (const { record } of lines) {
      const { consumerId, charge } = record as UsageRecord;
      needed.set(consumerId, (needed.get(consumerId) ?? 0n) + charge);
    }
    for (const [consumerId, amount] of needed) {
      if (amount > 0n) await leases.grow(consumerId, { atLeast: amount, want: amount });
    }
    await this.book(0).post(lines);
    return lines.map(({ record }) => record as UsageRecord);
  }

  /** Gives `refund` of a request back. */
  async correct(sold: UsageRecord, about: Partial<CorrectionRecord>): Promise<void> {
    await this.book(0).post([
      correctionOf({
        requestId: sold.id,
        id: `fix_${sold.id}`,
        consumerId: sold.consumerId,
        providerId: sold.providerId as string,
        policy: sold.policy,
        originalCharge: sold.charge,
        inputTokens: sold.inputTokens,
        ...about,
      }),
    ]);
  }
}
