import type { Pico } from '#domain/money.ts';
import type { JournalRecord } from '#domain/usage-record.ts';
import { Fault } from '#kit/fault.ts';

/**
 * What serving needs of money, as small interfaces: PostgreSQL and a disk implement them in the product, memory does in
 * the simulation, and a second store does when there are many gateways.
 */

/** Money set aside in the store for one process, out of a consumer's balance. */
export interface LeaseStore {
  /**
   * Sets aside up to `want`, and not less than `atLeast`, of what the consumer has available. One conditional statement:
   * two processes can never set aside the same money. `short` when less than `atLeast` is available; `leasedElsewhere`
   * then says how much other processes hold for this consumer. Throws when the store cannot be reached.
   */
  grow(
    consumerId: string,
    amounts: { atLeast: Pico; want: Pico },
  ): Promise<{ granted: Pico } | { short: true; leasedElsewhere: Pico }>;
  /**
   * Returns unused leased money to the consumer's available balance. When this throws, the money counts as returned all
   * the same, and the store makes it so with the next question about this consumer; an `amount` of zero asks just that.
   */
  giveBack(consumerId: string, amount: Pico): Promise<void>;
  /** Asks the other processes to give back what they lease for this consumer and do not use. */
  recall(consumerId: string): Promise<void>;
}

/**
 * The disk failed while a record was being written: it may be there or not, and the next life of the process will find
 * out. Until then whatever the record would move must be kept ready for it.
 */
export class RecordInDoubt extends Fault {
  override name = 'RecordInDoubt';
}

/** The durable list of what was served. */
export interface UsageJournal {
  /**
   * Resolves when the record will survive the death of this process. Rejects when it will not: with `RecordInDoubt` when
   * that is not known, with another `Fault` when the record was certainly not written.
   */
  append(record: JournalRecord): Promise<void>;
  /** False when paid work must not be accepted, because what it leaves behind could not be kept. */
  readonly healthy: boolean;
}

/** The ledger's book, as the journal is posted into it. Idempotent by record id. */
export interface UsagePosting {
  /** `texts`: what `encodeRecord` makes of each, where it was made before. */
  post(records: readonly JournalRecord[], texts?: readonly string[]): Promise<void>;
}
