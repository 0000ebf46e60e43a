import { assert } from '#kit/assert.ts';

/**
 * Who is served next when more is asked of a model than its providers can do at once. Start-time fair queueing (Goyal, Vin
 * and Cheng, 1996) over tenants: each has a virtual time that advances by 1/weight for every request it is served, and the
 * request with the earliest virtual start goes first. So tiers share by weight, the tenants of a tier share evenly, and a
 * tenant that asks a hundred times its share waits behind itself, not in front of others.
 *
 * Pure but for its own memory: times come in, nothing is scheduled here (`gateway/waiting-room.ts` does).
 */
export interface Waiter {
  readonly tenant: string;
  /** Of its tier: twice the weight is twice the share. */
  readonly weight: number;
  /** After this, monotonic milliseconds, an answer comes too late. */
  readonly deadlineMs: number;
}

interface Entry<W extends Waiter> {
  readonly waiter: W;
  readonly start: number;
  /** Ties go to who came first. */
  readonly order: number;
}

export class FairQueue<W extends Waiter> {
  readonly #sizeMax: number;
  #entries: Entry<W>[] = [];
  /** The virtual start of the request that was served last. */
  #virtual = 0;
  /** Up to where each tenant's virtual time has been given out. Only of those ahead of the queue's own. */
  readonly #finish = new Map<string, number>();
  #arrivals = 0;

  constructor({ sizeMax }: { sizeMax: number }) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#entries.length;
  }

  /**
   * Lets a request wait. When the queue is full somebody has to go: the one that would be served last, which is of the
   * tenant that asks most for its weight. Answers whom, which may be the newcomer itself; undefined when there was room.
   */
  add(waiter: W): W | undefined {
    assert(waiter.weight > 0, 'a weight is positive');
    const start = Math.max(this.#virtual, this.#finish.get(waiter.tenant) ?? 0);
    this.#finish.set(waiter.tenant, start + 1 / waiter.weight);
    this.#insert({ waiter, start, order: this.#arrivals++ });
    if (this.#entries.length <= this.#sizeMax) return undefined;
    const last = this.#entries.pop() as Entry<W>;
    this.#giveBack(last);
    return last.waiter;
  }

  /** Takes who is next. */
  next(): W | undefined {
    const entry = this.#entries.shift();
    if (!entry) {
      // Nobody waits: everybody begins anew.
      this.#finish.clear();
      return undefined;
    }
    this.#virtual = Math.max(this.#virtual, entry.start);
    if (this.#entries.length === 0) this.#forget();
    return entry.waiter;
  }

  /** Puts back who was next and could not be served after all, in front of everybody. */
  putBack(waiter: W): void {
    this.#entries.unshift({ waiter, start: this.#entries[0]?.start ?? this.#virtual, order: -1 });
  }

  /** Takes out a request whose client has left. Answers whether it waited. */
  remove(waiter: W): boolean {
    const at = this.#entries.findIndex((entry) => entry.waiter === waiter);
    if (at < 0) return false;
    const [entry] = this.#entries.splice(at, 1);
    this.#giveBack(entry as Entry<W>);
    return true;
  }

  /** Takes out everybody whose deadline has passed. */
  expire(nowMs: number): W[] {
    const late = this.#entries.filter(({ waiter }) => waiter.deadlineMs <= nowMs);
    if (late.length === 0) return [];
    this.#entries = this.#entries.filter(({ waiter }) => waiter.deadlineMs > nowMs);
    for (const entry of late) this.#giveBack(entry);
    return late.map(({ waiter }) => waiter);
  }

  /** How many would be served before a newcomer of this tenant and weight. */
  ahead(tenant: string): number {
    const start = Math.max(this.#virtual, this.#finish.get(tenant) ?? 0);
    let count = 0;
    for (const entry of this.#entries) if (entry.start <= start) count += 1;
    return count;
  }

  /** By start, then arrival. Most newcomers belong near the end. */
  #insert(entry: Entry<W>): void {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as Entry<W>).start <= entry.start) low = middle + 1;
      else high = middle;
    }
    this.#entries.splice(low, 0, entry);
  }

  /** What was not served costs its tenant nothing. */
  #giveBack({ waiter }: Entry<W>): void {
    const finish = this.#finish.get(waiter.tenant);
    if (finish !== undefined) this.#finish.set(waiter.tenant, finish - 1 / waiter.weight);
  }

  /** Tenants whose time is not ahead of the queue's need no memory. */
  #forget(): void {
    for (const [tenant, finish] of this.#finish) if (finish <= this.#virtual) this.#finish.delete(tenant);
  }
}
