import type { Refusal } from '#domain/refusal.ts';

/**
 * Refusals that wait to be written, each a row of its own, within bounds; what is above them is counted. Refusing costs next to
 * nothing, and whoever is refused may come again at once: without bounds, one loop of a client that ignores 429 would fill
 * memory while the database is away, and the disk while it is there. So every consumer has a rate of rows and a share of what
 * waits, and so has the gateway, and whatever is noted is in exactly one of the counts: nothing is lost unseen.
 */
export interface RefusalBounds {
  /** Rows that wait at most, their bytes (as estimated), and how many of them may be one consumer's. */
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly eachMax: number;
  /** Rows of one consumer at once, and a second in the long run. */
  readonly eachBurst: number;
  readonly eachPerS: number;
  /** The same of all. */
  readonly allBurst: number;
  readonly allPerS: number;
}

export const REFUSAL_BOUNDS: RefusalBounds = {
  rowsMax: 20_000,
  bytesMax: 10_000_000,
  eachMax: 1_000,
  eachBurst: 300,
  eachPerS: 1,
  allBurst: 10_000,
  allPerS: 50,
};

/** What became of every refusal that was noted, since the start. Together they are all of them. */
export interface RefusalCounts {
  /** It is a row. */
  written: number;
  /** It will be one. */
  waiting: number;
  /** Its consumer had more of them than it has rows for, or all consumers had. */
  overRate: number;
  overRateOfAll: number;
  /** Too many wait: of its consumer, or of all, because the database is away. */
  noRoom: number;
  /** The database did not take it, or the process ended first. */
  notStored: number;
}

/** One consumer: when its next row would be due if they came evenly (monotonic milliseconds), and how many wait. */
interface Share {
  dueMs: number;
  waiting: number;
}

const ROW_BYTES = 400;
const TRY_BYTES = 300;

export class RefusalBuffer {
  readonly #bounds: RefusalBounds;
  readonly #waiting = new Map<string, Refusal>();
  readonly #shares = new Map<string, Share>();
  readonly #counts: Omit<RefusalCounts, 'waiting'> = {
    written: 0,
    overRate: 0,
    overRateOfAll: 0,
    noRoom: 0,
    notStored: 0,
  };
  #bytes = 0;
  #allDueMs = Number.NEGATIVE_INFINITY;

  constructor(bounds: RefusalBounds = REFUSAL_BOUNDS) {
    this.#bounds = bounds;
  }

  /** Takes a refusal in, or counts it. One that waits already is left as it is. `nowMs` is monotonic. */
  note(refusal: Refusal, nowMs: number): void {
    const { id, consumerId } = refusal;
    if (this.#waiting.has(id)) return;
    const { rowsMax, bytesMax, eachMax, eachBurst, eachPerS, allBurst, allPerS } = this.#bounds;
    let share = this.#shares.get(consumerId);
    const bytes = bytesOf(refusal);
    if (
      this.#waiting.size >= rowsMax ||
      this.#bytes + bytes > bytesMax ||
      (share !== undefined && share.waiting >= eachMax)
    ) {
      this.#counts.noRoom += 1;
      return;
    }
    const dueMs = Math.max(share?.dueMs ?? nowMs, nowMs);
    if (dueMs - nowMs > ((eachBurst - 1) * 1_000) / eachPerS) {
      this.#counts.overRate += 1;
      return;
    }
    const allDueMs = Math.max(this.#allDueMs, nowMs);
    if (allDueMs - nowMs > ((allBurst - 1) * 1_000) / allPerS) {
      this.#counts.overRateOfAll += 1;
      return;
    }
    if (!share) {
      share = { dueMs: 0, waiting: 0 };
      this.#shares.set(consumerId, share);
    }
    share.dueMs = dueMs + 1_000 / eachPerS;
    share.waiting += 1;
    this.#allDueMs = allDueMs + 1_000 / allPerS;
    this.#bytes += bytes;
    this.#waiting.set(id, refusal);
  }

  /** One that waits. */
  find(id: string): Refusal | undefined {
    return this.#waiting.get(id);
  }

  /** The oldest that wait, at most `max`; they wait on. */
  oldest(max: number): Refusal[] {
    const rows: Refusal[] = [];
    for (const refusal of this.#waiting.values()) {
      if (rows.length >= max) break;
      rows.push(refusal);
    }
    return rows;
  }

  /** These wait no longer: they are rows now, or never will be. */
  settle(refusals: readonly Refusal[], as: 'written' | 'notStored'): void {
    for (const refusal of refusals) {
      if (!this.#waiting.delete(refusal.id)) continue;
      this.#counts[as] += 1;
      this.#bytes -= bytesOf(refusal);
      const share = this.#shares.get(refusal.consumerId);
      if (share) share.waiting -= 1;
    }
  }

  /** Forgets consumers of whom nothing waits and whose whole burst is back. */
  sweep(nowMs: number): void {
    for (const [consumerId, share] of this.#shares)
      if (share.waiting === 0 && share.dueMs <= nowMs) this.#shares.delete(consumerId);
  }

  /** Consumers that are remembered. */
  get consumers(): number {
    return this.#shares.size;
  }

  counts(): RefusalCounts {
    return { ...this.#counts, waiting: this.#waiting.size };
  }
}

/** About what one takes in memory: its strings but the id are shared with the records that they are from. */
function bytesOf({ id, tries }: Refusal): number {
  return ROW_BYTES + id.length + tries.length * TRY_BYTES;
}
