import { databaseGone } from '#db/database.ts';
import type { Refusal } from '#domain/refusal.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { refusedByData } from './book.ts';
import { REFUSAL_BOUNDS, type RefusalBounds, RefusalBuffer, type RefusalCounts } from './refusal-buffer.ts';
import type { RefusalTable } from './refusal-table.ts';

/**
 * Keeps a row of each refused request, beside serving and never in its way: noting one puts it into memory, and a round writes
 * what has gathered, a thousand rows a statement. While the database is away rows wait, within bounds; what the bounds leave out
 * is counted, shown among the metrics and said in the log. A process that is killed loses the rows of its last two seconds:
 * they are no money.
 */
const WRITE_EVERY_MS = 2_000;
const BATCH_MAX = 1_000;
const TELL_EVERY_MS = 60_000;
const FORGET_EVERY_MS = 3_600_000;
/** Kinds of what is refused without a key; there are fewer codes than this. */
const CODES_MAX = 200;

export class RefusalLog {
  readonly #table: Pick<RefusalTable, 'keep' | 'find' | 'latest'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #buffer: RefusalBuffer;
  readonly #rounds: readonly Rounds[];
  readonly #withoutKey = new Map<string, number>();
  /** Of what became no row: how many had been told of. */
  #told = 0;
  #isAway = false;

  constructor(parts: {
    table: Pick<RefusalTable, 'keep' | 'find' | 'latest' | 'dropOld'>;
    clock: Clock;
    log: Logger;
    bounds?: RefusalBounds;
  }) {
    const { table, clock, log } = parts;
    this.#table = table;
    this.#clock = clock;
    this.#log = log;
    this.#buffer = new RefusalBuffer(parts.bounds ?? REFUSAL_BOUNDS);
    const round = (periodMs: number, work: () => Promise<unknown>, words: string): Rounds =>
      new Rounds(clock, {
        periodMs,
        work: async () => void (await work()),
        failed: (error) => log.warn({ err: error }, words),
      });
    this.#rounds = [
      round(WRITE_EVERY_MS, () => this.#write(), 'Refused requests could not be kept; they wait.'),
      round(TELL_EVERY_MS, async () => this.#tell(), 'What was refused could not be told.'),
      round(FORGET_EVERY_MS, () => table.dropOld(clock.wallMs()), 'Old days could not be dropped.'),
    ];
  }

  /** A request of a known key was refused. */
  note(refusal: Refusal): void {
    this.#buffer.note(refusal, this.#clock.nowMs());
  }

  /** A request was refused before it was known whose it is: that leaves no row. */
  withoutKey(code: string): void {
    const known = this.#withoutKey.get(code);
    if (known === undefined && this.#withoutKey.size >= CODES_MAX) return;
    this.#withoutKey.set(code, (known ?? 0) + 1);
  }

  /** The refused request of this consumer, written or not yet; undefined when nothing is known of it, or it is another's. */
  async find(id: string, consumerId: string): Promise<Refusal | undefined> {
    const waiting = this.#buffer.find(id);
    if (waiting) return waiting.consumerId === consumerId ? waiting : undefined;
    return await this.#table.find(id, consumerId);
  }

  /** The latest rows of one consumer, or of all; newest first. */
  latest(which: { consumerId?: string | undefined; limit: number }): Promise<Refusal[]> {
    return this.#table.latest(which);
  }

  /** What became of all that was noted. */
  counts(): RefusalCounts {
    return this.#buffer.counts();
  }

  countsWithoutKey(): ReadonlyMap<string, number> {
    return this.#withoutKey;
  }

  /** Writes what waits and ends. What cannot be written then is counted, and told. */
  async close(): Promise<void> {
    await Promise.all(this.#rounds.map((each) => each.close()));
    await this.#write().catch((error: unknown) =>
      this.#log.warn({ err: error }, 'Refused requests could not be kept at the end.'),
    );
    this.#buffer.settle(this.#buffer.oldest(Number.POSITIVE_INFINITY), 'notStored');
    this.#tell();
  }

  async #write(): Promise<void> {
    this.#buffer.sweep(this.#clock.nowMs());
    for (
      let batch = this.#buffer.oldest(BATCH_MAX);
      batch.length > 0;
      batch = this.#buffer.oldest(BATCH_MAX)
    ) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one statement after the other.
        await this.#keep(batch);
      } catch (error) {
        // Said once: a round comes every two seconds, and the count of what waits is among the metrics.
        if (this.#isAway && databaseGone(error)) return;
        this.#isAway = databaseGone(error);
        throw error;
      }
      this.#isAway = false;
    }
  }

  /** Halves until whatever the table refuses stands alone: no such row may hold up the others. */
  async #keep(batch: readonly Refusal[]): Promise<void> {
    try {
      await this.#table.keep(batch);
      this.#buffer.settle(batch, 'written');
    } catch (error) {
      if (!refusedByData(error)) throw error;
      if (batch.length > 1) {
        const middle = batch.length >> 1;
        await this.#keep(batch.slice(0, middle));
        await this.#keep(batch.slice(middle));
        return;
      }
      this.#buffer.settle(batch, 'notStored');
      this.#log.error({ request: batch[0]?.id, err: error }, 'A refused request could not be stored.');
    }
  }

  /** Says what became no row since it was said last. */
  #tell(): void {
    const { written, waiting, ...counted } = this.#buffer.counts();
    const all = Object.values(counted).reduce((sum, each) => sum + each, 0);
    if (all === this.#told) return;
    this.#log.warn(
      { more: all - this.#told, written, waiting, ...counted },
      'More requests were refused than rows are kept of; the others are counted.',
    );
    this.#told = all;
  }
}
