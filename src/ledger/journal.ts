import type { JournalRecord } from '#domain/usage-record.ts';
import { type Clock, pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import type { JournalDisk, JournalFile } from './journal-disk.ts';
import { RecordInDoubt, type UsageJournal } from './ports.ts';
import { encodeRecord } from './record-text.ts';
import { lineOf } from './segment.ts';

/** A place in the journal: segments are numbered from 1 and never reused. */
export interface Position {
  readonly segment: number;
  readonly offset: number;
}

/** Records that became durable together, and where they end. */
export interface Committed {
  readonly records: readonly JournalRecord[];
  /** Their texts (`encodeRecord`), as they stand in the journal. */
  readonly texts: readonly string[];
  readonly end: Position;
}

export interface JournalOptions {
  disk: JournalDisk;
  clock: Clock;
  log: Logger;
  /** Above this the journal is not healthy until it is drained. Default 1 GiB. */
  sizeMax?: number;
  /** A segment that grew to this is closed and the next begun. Default 4 MiB: what a restart reads again. */
  segmentSizeMax?: number;
  /**
   * How much longer a write waits, from the begin of the one before, for each record that one had; never longer than
   * `groupSpacingMsMax`. A record that comes alone hardly waits; under load groups grow. Defaults 1 ms and 6 ms.
   */
  groupSpacingMsPerRecord?: number;
  groupSpacingMsMax?: number;
}

interface Waiting {
  readonly record: JournalRecord;
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What may be written above `sizeMax`: requests that were admitted before still leave their records. */
const RESERVE = 64 * 1024 * 1024;

/**
 * The usage journal: a group-committed log in a local folder, from which the ledger is fed. Everything that waits at the
 * end of a turn goes to the disk in one write and one `fdatasync`; while those run, the next group gathers. So the cost
 * per record falls as load rises, and a record waits for two syncs at most.
 *
 * A failed write or sync is final. What the disk then holds is unknown (the kernel may have dropped the pages and would
 * report a second `fdatasync` as a success), so the journal turns unhealthy until the process is restarted, and the next
 * life reads what is really there. A record whose `append` was rejected may be found then; it is posted like the others.
 *
 * Each life writes to segments of its own and never appends to those of a life before, whose last line may be torn.
 */
export class Journal implements UsageJournal {
  readonly #disk: JournalDisk;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #sizeMax: number;
  readonly #segmentSizeMax: number;
  readonly #spacingMsPerRecord: number;
  readonly #spacingMsMax: number;
  readonly #sizes = new Map<number, number>();
  #size = 0;
  #committed: (group: Committed) => void = () => {};
  #file: JournalFile | undefined;
  #segment: number;
  #offset = 0;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #nextWriteMs = Number.NEGATIVE_INFINITY;
  #broken: Fault | undefined;
  #closed = false;

  private constructor(options: JournalOptions, left: ReadonlyMap<number, number>) {
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#sizeMax = options.sizeMax ?? 1024 * 1024 * 1024;
    this.#segmentSizeMax = options.segmentSizeMax ?? 4 * 1024 * 1024;
    this.#spacingMsPerRecord = options.groupSpacingMsPerRecord ?? 1;
    this.#spacingMsMax = options.groupSpacingMsMax ?? 6;
    for (const [segment, size] of left) {
      this.#sizes.set(segment, size);
      this.#size += size;
    }
    this.#segment = Math.max(0, ...left.keys());
  }

  /** Opens the journal of a folder; its first segment is made with the first record. Hold the folder's lock. */
  static async open(options: JournalOptions): Promise<Journal> {
    const left = new Map<number, number>();
    for (const { name, size } of await options.disk.list()) {
      const segment = segmentNumber(name);
      if (segment !== undefined) left.set(segment, size);
    }
    return new Journal(options, left);
  }

  /** Tells `committed` of every group that became durable from now on, in order. One listener: the poster. */
  onCommitted(committed: (group: Committed) => void): void {
    this.#committed = committed;
  }

  get healthy(): boolean {
    return this.unhealthyBecause === undefined;
  }

  /** Why paid work must not be accepted, for operators. */
  get unhealthyBecause(): string | undefined {
    if (this.#broken) return this.#broken.message;
    if (this.#closed) return 'The journal is closed.';
    if (this.#size >= this.#sizeMax) return `The journal holds ${this.#size} bytes that are not posted yet.`;
    return undefined;
  }

  /** Bytes on the disk, posted or not. */
  get size(): number {
    return this.#size;
  }

  /** The end of what is durable. */
  get end(): Position {
    return { segment: this.#segment, offset: this.#offset };
  }

  /** The segments that exist, oldest first, with the bytes known to be in them. */
  segments(): { segment: number; size: number }[] {
    return [...this.#sizes]
      .map(([segment, size]) => ({ segment, size }))
      .toSorted((a, b) => a.segment - b.segment);
  }

  append(record: JournalRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal();
      if (refusal) return reject(refusal);
      this.#waiting.push({ record, text: encodeRecord(record), resolve, reject });
      if (!this.#writing) {
        this.#writing = new Promise((done) => {
          this.#clock.endOfTurn(() => done(this.#writeGroups()));
        });
      }
    });
  }

  /** Waits for what was appended, then closes. Later appends are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#file?.close().catch(() => {});
    this.#file = undefined;
  }

  /** Removes a segment whose records are all posted. Not the one being written, unless the journal is closed. */
  async remove(segment: number): Promise<void> {
    if (segment === this.#segment && this.#file) return;
    await this.#disk.remove(segmentName(segment));
    this.#size -= this.#sizes.get(segment) ?? 0;
    this.#sizes.delete(segment);
  }

  #refusal(): Fault | undefined {
    if (this.#broken) return this.#broken;
    if (this.#closed) return new Fault('shutting-down', { inner: 'The journal is closed.' });
    if (this.#size >= this.#sizeMax + RESERVE)
      return new Fault('ledger-unavailable', { inner: 'The journal is full.' });
    return undefined;
  }

  async #writeGroups(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Under load groups gather: a durable write costs some 200 µs of CPU, for one record as for a hundred.
      const earlyMs = this.#nextWriteMs - this.#clock.nowMs();
      if (earlyMs > 0 && !this.#closed) await pause(this.#clock, earlyMs);
      const group = this.#waiting;
      this.#waiting = [];
      const spacingMs = Math.min(group.length * this.#spacingMsPerRecord, this.#spacingMsMax);
      this.#nextWriteMs = this.#clock.nowMs() + spacingMs;
      try {
        await this.#writeGroup(group);
      } catch (cause) {
        this.#broken ??= new Fault('ledger-unavailable', {
          inner: 'The disk refused the usage journal.',
          cause,
        });
        this.#log.error(
          { err: cause },
          'The usage journal failed; no paid work is accepted until a restart.',
        );
        const doubt = new RecordInDoubt('ledger-unavailable', {
          inner: 'The disk failed while the record was written.',
          cause,
        });
        for (const { reject } of group) reject(doubt);
        for (const { reject } of this.#waiting) reject(this.#broken);
        this.#waiting = [];
      }
    }
    this.#writing = undefined;
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    let lines = '';
    for (const { text } of group) lines += lineOf(text);
    const bytes = Buffer.from(lines);
    if (this.#file && this.#offset >= this.#segmentSizeMax) {
      await this.#file.close();
      this.#file = undefined;
    }
    if (!this.#file) {
      const file = await this.#disk.create(segmentName(this.#segment + 1));
      this.#file = file;
      this.#segment += 1;
      this.#offset = 0;
      this.#sizes.set(this.#segment, 0);
    }
    await this.#file.append(bytes);
    await this.#file.sync();
    this.#offset += bytes.length;
    this.#size += bytes.length;
    this.#sizes.set(this.#segment, this.#offset);
    this.#committed({
      records: group.map(({ record }) => record),
      texts: group.map(({ text }) => text),
      end: this.end,
    });
    for (const { resolve } of group) resolve();
  }
}

/** `usage-00000001.jsonl`: sorts by number up to eight digits and stays unique beyond. */
export function segmentName(segment: number): string {
  return `usage-${String(segment).padStart(8, '0')}.jsonl`;
}

function segmentNumber(name: string): number | undefined {
  const match = /^usage-(\d{8,15})\.jsonl$/.exec(name);
  return match ? Number(match[1]) : undefined;
}
