import type { Clock, Timer } from '#kit/clock.ts';

interface Due {
  at: number;
  order: number;
  run: () => void;
  every: number | undefined;
  live: boolean;
}

/**
 * A clock in hand. Time stands still until `advance` moves it; timers run in order of their due time, ties in the order
 * they were set. Promises settle between timers, so awaited code keeps its order.
 */
export class VirtualClock implements Clock {
  #now = 0;
  #wallOffset: number;
  #order = 0;
  readonly #heap: Due[] = [];

  constructor(startWallMs = Date.UTC(2026, 10, 20)) {
    this.#wallOffset = startWallMs;
  }

  wallMs(): number {
    return Math.floor(this.#wallOffset + this.#now);
  }

  nowMs(): number {
    return this.#now;
  }

  /** Moves the wall clock alone, as a time server or a person would. */
  jumpWall(byMs: number): void {
    this.#wallOffset += byMs;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add({
      at: this.#now + Math.max(0, delayMs),
      order: this.#order++,
      run,
      every: undefined,
      live: true,
    });
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add({ at: this.#now + periodMs, order: this.#order++, run, every: periodMs, live: true });
  }

  endOfTurn(run: () => void): void {
    this.after(0, run);
  }

  /** When the next timer is due (monotonic milliseconds), or undefined when none waits. */
  nextAt(): number | undefined {
    this.#dropDead();
    return this.#heap[0]?.at;
  }

  /** Runs the next due timer, moving time to it. False when none waits. Does not settle promises. */
  step(): boolean {
    this.#dropDead();
    const due = this.#pop();
    if (!due) return false;
    this.#now = Math.max(this.#now, due.at);
    if (due.every === undefined) due.live = false;
    else this.#add({ ...due, at: due.at + due.every, order: this.#order++ }, due);
    due.run();
    return true;
  }

  /** Moves time by `byMs`, running everything that falls due and letting promises settle in between. */
  async advance(byMs: number): Promise<void> {
    const until = this.#now + byMs;
    await settlePromises();
    for (let next = this.nextAt(); next !== undefined && next <= until; next = this.nextAt()) {
      this.step();
      await settlePromises();
    }
    this.#now = until;
  }

  #add(due: Due, again?: Due): Timer {
    // A repeating timer is re-queued as a new record that shares the handle of the first.
    const record = again ?? due;
    if (again) {
      again.at = due.at;
      again.order = due.order;
    }
    this.#push(record);
    return {
      cancel: () => {
        record.live = false;
      },
    };
  }

  #before(a: Due, b: Due): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#before(heap[i] as Due, heap[parent] as Due)) break;
      [heap[i], heap[parent]] = [heap[parent] as Due, heap[i] as Due];
      i = parent;
    }
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || top === last) return top;
    heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      let least = i;
      if (left < heap.length && this.#before(heap[left] as Due, heap[least] as Due)) least = left;
      if (left + 1 < heap.length && this.#before(heap[left + 1] as Due, heap[least] as Due)) least = left + 1;
      if (least === i) return top;
      [heap[i], heap[least]] = [heap[least] as Due, heap[i] as Due];
      i = least;
    }
  }

  #dropDead(): void {
    while (this.#heap[0] && !this.#heap[0].live) this.#pop();
  }
}

/** Lets every promise that can settle without time passing do so. */
export async function settlePromises(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
