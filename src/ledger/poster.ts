import type { JournalRecord } from '#domain/usage-record.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { backoffMs } from '#kit/retry.ts';
import { type Committed, type Journal, type Position, segmentName } from './journal.ts';
import type { JournalDisk } from './journal-disk.ts';
import type { UsagePosting } from './ports.ts';
import { hasLineAfterDamage, readLines } from './segment.ts';

/** How far the ledger is behind the journal. */
export interface PostingLag {
  /** Bytes of the journal that are not posted. */
  readonly bytes: number;
  /** For how long something has been waiting, in milliseconds; 0 when nothing is. */
  readonly sinceMs: number;
  /** Failed attempts in a row. */
  readonly failures: number;
}

export interface PosterOptions {
  journal: Journal;
  disk: JournalDisk;
  posting: UsagePosting;
  clock: Clock;
  random: Randomness;
  log: Logger;
  /** Records per posting. Default 2,000. */
  batchMax?: number;
  /** How long records gather before they are posted: a posting is a dozen statements, for one record as for many. Default 250 ms. */
  gatherMs?: number;
  /** Records kept in memory while the ledger is behind; beyond, they are read again from the disk. Default 20,000. */
  queueMax?: number;
}

const CHUNK = 256 * 1024;
const BACKOFF = { baseMs: 50, capMs: 2_000 };

/**
 * Posts the journal into the book, in order, and removes segments whose records are all posted.
 *
 * It has one position: everything before it is posted. Right after it comes, usually, the queue in memory: groups that
 * were committed in this life. When the queue was too long to keep, or records were left by the life before, the poster
 * reads them from the disk instead, until it has caught up. Killed at any point it posts a little again; the book does
 * not mind.
 */
export class Poster {
  readonly #options: Required<PosterOptions>;
  #position: Position;
  /** Groups committed after `#position`, without a gap, when `#fromDisk` is false. */
  #queue: Committed[] = [];
  #queued = 0;
  #fromDisk: boolean;
  #waitingSinceMs: number | undefined;
  #failures = 0;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #closed = false;
  #caughtUp: (() => void)[] = [];

  constructor(options: PosterOptions) {
    this.#options = { batchMax: 2_000, gatherMs: 250, queueMax: 20_000, ...options };
    const [oldest] = options.journal.segments();
    this.#position = { segment: oldest?.segment ?? options.journal.end.segment, offset: 0 };
    this.#fromDisk = oldest !== undefined;
    options.journal.onCommitted((group) => this.#take(group));
    if (this.#fromDisk) this.#run();
  }

  get lag(): PostingLag {
    let bytes = 0;
    for (const { segment, size } of this.#options.journal.segments()) {
      if (segment === this.#position.segment) bytes += Math.max(0, size - this.#position.offset);
      if (segment > this.#position.segment) bytes += size;
    }
    const sinceMs =
      this.#waitingSinceMs === undefined ? 0 : this.#options.clock.nowMs() - this.#waitingSinceMs;
    return { bytes, sinceMs, failures: this.#failures };
  }

  /**
   * Resolves when everything that is durable now is posted. For the start (before leases of the life before are released)
   * and for the end. Answers false when `withinMs` passed first: nothing is lost, the next start posts the rest.
   */
  async drain(withinMs: number): Promise<boolean> {
    if (this.#idle()) return true;
    this.#run();
    return await new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        resolve(true);
      };
      const timer = this.#options.clock.after(withinMs, () => {
        this.#caughtUp = this.#caughtUp.filter((other) => other !== done);
        resolve(false);
      });
      this.#caughtUp.push(done);
    });
  }

  /** Stops after the posting under way. Close the journal first: then its last segment goes too, when it is posted. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#wake?.();
    await this.#running;
    await this.#advance(this.#position);
  }

  #take(group: Committed): void {
    this.#waitingSinceMs ??= this.#options.clock.nowMs();
    if (!this.#fromDisk && this.#queued + group.records.length > this.#options.queueMax)
      this.#fromDisk = true;
    if (!this.#fromDisk) {
      this.#queue.push(group);
      this.#queued += group.records.length;
    }
    if (this.#running || this.#closed) return;
    if (this.#queued >= this.#options.batchMax) this.#run();
    else this.#timer ??= this.#options.clock.after(this.#options.gatherMs, () => this.#run());
  }

  #idle(): boolean {
    return !this.#running && !this.#fromDisk && this.#queue.length === 0;
  }

  #run(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#running || this.#closed) return;
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
      if (this.#idle()) {
        this.#waitingSinceMs = undefined;
        for (const done of this.#caughtUp.splice(0)) done();
      } else {
        this.#run();
      }
    });
  }

  /** Posts until nothing is left. Never throws: what fails is tried again. */
  async #work(): Promise<void> {
    while (!this.#closed) {
      try {
        if (this.#queue.length > 0) await this.#postQueue();
        else if (this.#fromDisk) await this.#postFromDisk();
        else return;
        this.#failures = 0;
      } catch (error) {
        const waitMs = backoffMs(this.#failures, BACKOFF, this.#options.random);
        this.#failures += 1;
        this.#options.log.warn(
          { err: error, failures: this.#failures },
          'Posting usage failed; it will be tried again.',
        );
        await this.#pause(waitMs);
      }
    }
  }

  async #postQueue(): Promise<void> {
    const records: JournalRecord[] = [];
    const texts: string[] = [];
    let groups = 0;
    let end = this.#position;
    for (const group of this.#queue) {
      if (groups > 0 && records.length + group.records.length > this.#options.batchMax) break;
      for (const record of group.records) records.push(record);
      for (const text of group.texts) texts.push(text);
      end = group.end;
      groups += 1;
    }
    await this.#post(records, texts);
    for (const group of this.#queue.splice(0, groups)) this.#queued -= group.records.length;
    await this.#advance(end);
  }

  /** Posts the next stretch from the disk, or finds that the disk has nothing more than the queue will have. */
  async #postFromDisk(): Promise<void> {
    const { segment, offset } = this.#position;
    const size = this.#sizeOf(segment);
    if (offset < size) return await this.#postStretch(size);
    const next = this.#options.journal.segments().find((known) => known.segment > segment);
    if (next) await this.#advance({ segment: next.segment, offset: 0 });
    // Decided without a pause since the sizes were read: no group was committed in between, and the next goes to the queue.
    else this.#fromDisk = false;
  }

  async #postStretch(size: number): Promise<void> {
    const { disk } = this.#options;
    const { segment, offset } = this.#position;
    let length = Math.min(CHUNK, size - offset);
    let stretch = readLines(await disk.read(segmentName(segment), offset, length));
    if (stretch.length === 0 && !stretch.bad && offset + length < size) {
      // A line longer than the chunk.
      length = size - offset;
      stretch = readLines(await disk.read(segmentName(segment), offset, length));
    }
    await this.#post(stretch.records);
    const at = { segment, offset: offset + stretch.length };
    const whole = offset + length >= size;
    if (stretch.bad || (whole && at.offset < size)) {
      await this.#leaveDamage(at, size);
      await this.#advance({ segment, offset: size });
    } else {
      await this.#advance(at);
    }
  }

  #sizeOf(segment: number): number {
    return this.#options.journal.segments().find((known) => known.segment === segment)?.size ?? 0;
  }

  /** At `at` a segment stops making sense. A torn end is what a crash leaves; anything else is put aside, loudly. */
  async #leaveDamage(at: Position, size: number): Promise<void> {
    const { disk, log } = this.#options;
    const name = segmentName(at.segment);
    const rest = await disk.read(name, at.offset, size - at.offset);
    if (!hasLineAfterDamage(rest)) {
      log.info(
        { segment: at.segment, offset: at.offset, bytes: rest.length },
        'A journal segment ends in a torn record.',
      );
      return;
    }
    const aside = `damaged-${String(at.segment).padStart(8, '0')}-at-${at.offset}`;
    const present = (await disk.list()).find((file) => file.name === aside);
    // A copy that a crash cut short is made again.
    if (present && present.size < rest.length) await disk.remove(aside);
    if (!present || present.size < rest.length) {
      const file = await disk.create(aside);
      await file.append(rest);
      await file.sync();
      await file.close();
    }
    log.error(
      { segment: at.segment, offset: at.offset, bytes: rest.length, aside },
      'A journal segment is damaged in the middle; its rest was put aside for a person to look at.',
    );
  }

  /** Posts what a chunk held, in batches. */
  async #post(records: readonly JournalRecord[], texts?: readonly string[]): Promise<void> {
    const { batchMax, posting } = this.#options;
    for (let i = 0; i < records.length; i += batchMax) {
      await posting.post(records.slice(i, i + batchMax), texts?.slice(i, i + batchMax));
    }
  }

  /** Everything before `to` is posted: segments that lie wholly before it go. */
  async #advance(to: Position): Promise<void> {
    const { journal } = this.#options;
    this.#position = to;
    for (const { segment, size } of journal.segments()) {
      const done = segment < to.segment || (segment === to.segment && to.offset >= size);
      if (done) await journal.remove(segment);
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#options.clock.after(ms, resolve);
    });
    this.#wake = undefined;
  }
}
