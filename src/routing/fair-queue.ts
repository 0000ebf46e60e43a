import { assert } from '#kit/assert.ts';

/**
 * Who is served next when more is asked of a model than its providers can do at once. Two levels of start-time fair queueing
 * (Goyal, Vin and Cheng, 1996): classes (tiers) share by weight while they wait, and within a class the tenants share
 * evenly. Each has a virtual time that advances with what it is served, and the earliest goes first. So a tenant that asks a
 * hundred times its share waits behind itself, not in front of others; and a class that was away has saved up nothing.
 *
 * Pure but for its own memory: times come in, nothing is scheduled here (`gateway/waiting-room.ts` does).
 */
export interface Waiter {
  readonly tenant: string;
  readonly group: string;
  /** Of its group: twice the weight is twice the share. */
  readonly weight: number;
  /** After this, monotonic milliseconds, an answer comes too late. */
  readonly deadlineMs: number;
}

interface Entry<W extends Waiter> {
  readonly waiter: W;
  /** Virtual, among the tenants of its group. Ties go to who came first. */
  readonly start: number;
}

interface Group<W extends Waiter> {
  readonly weight: number;
  /** Its virtual time among the groups. */
  pass: number;
  /** By start, then arrival. */
  entries: Entry<W>[];
  /** The start of the request that was served last. */
  virtual: number;
  /** Up to where each tenant's time has been given out. Only of those ahead of the group's own. */
  readonly finish: Map<string, number>;
}

export class FairQueue<W extends Waiter> {
  readonly #sizeMax: number;
  readonly #groups = new Map<string, Group<W>>();
  #size = 0;
  /** The pass of the group that was served last. */
  #virtual = 0;
  /** Taken with `next` and put back: before everybody. */
  #first: W | undefined;

  constructor({ sizeMax }: { sizeMax: number }) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#size + (this.#first ? 1 : 0);
  }

  /**
   * Lets a request wait. When the queue is full somebody has to go: of the class with the least weight, the request that
   * would be served last, which is of the tenant that asks most. Answers whom, which may be the newcomer; undefined when
   * there was room.
   */
  add(waiter: W): W | undefined {
    assert(waiter.weight > 0, 'a weight is positive');
    let group = this.#groups.get(waiter.group);
    if (!group) {
      group = { weight: waiter.weight, pass: 0, entries: [], virtual: 0, finish: new Map() };
      this.#groups.set(waiter.group, group);
    }
    if (group.entries.length === 0) group.pass = Math.max(group.pass, this.#virtual);
    const start = Math.max(group.virtual, group.finish.get(waiter.tenant) ?? 0);
    group.finish.set(waiter.tenant, start + 1);
    insert(group.entries, { waiter, start });
    this.#size += 1;
    return this.size > this.#sizeMax ? this.#dropLast() : undefined;
  }

  /** Takes who is next. */
  next(): W | undefined {
    if (this.#first) {
      const first = this.#first;
      this.#first = undefined;
      return first;
    }
    let group: Group<W> | undefined;
    for (const each of this.#groups.values()) {
      if (each.entries.length > 0 && (!group || each.pass < group.pass)) group = each;
    }
    const entry = group?.entries.shift();
    if (!group || !entry) return undefined;
    this.#size -= 1;
    this.#virtual = group.pass;
    group.pass += 1 / group.weight;
    group.virtual = Math.max(group.virtual, entry.start);
    if (group.entries.length === 0) forgetBehind(group);
    return entry.waiter;
  }

  /** The first of one tenant, whoever is before it. It stays where it is: whoever serves it removes it, which charges nobody. */
  firstOf(tenant: string): W | undefined {
    if (this.#first?.tenant === tenant) return this.#first;
    for (const { entries } of this.#groups.values()) {
      const found = entries.find(({ waiter }) => waiter.tenant === tenant);
      if (found) return found.waiter;
    }
    return undefined;
  }

  /** Puts back who was next and could not be served after all: it is next again. */
  putBack(waiter: W): void {
    assert(!this.#first, 'one is next at a time');
    this.#first = waiter;
  }

  /** Takes out a request whose client has left, or that was served out of turn. Answers whether it waited. */
  remove(waiter: W): boolean {
    if (this.#first === waiter) {
      this.#first = undefined;
      return true;
    }
    const group = this.#groups.get(waiter.group);
    const at = group?.entries.findIndex((entry) => entry.waiter === waiter) ?? -1;
    if (!group || at < 0) return false;
    group.entries.splice(at, 1);
    this.#size -= 1;
    giveBack(group, waiter);
    return true;
  }

  /** Takes out everybody whose deadline has passed. */
  expire(nowMs: number): W[] {
    const late: W[] = [];
    if (this.#first && this.#first.deadlineMs <= nowMs) {
      late.push(this.#first);
      this.#first = undefined;
    }
    for (const group of this.#groups.values()) {
      if (!group.entries.some(({ waiter }) => waiter.deadlineMs <= nowMs)) continue;
      const kept: Entry<W>[] = [];
      for (const entry of group.entries) {
        if (entry.waiter.deadlineMs > nowMs) kept.push(entry);
        else {
          late.push(entry.waiter);
          giveBack(group, entry.waiter);
        }
      }
      this.#size -= group.entries.length - kept.length;
      group.entries = kept;
    }
    return late;
  }

  /** About how many would be served before a newcomer: those ahead in its class, and the others' share meanwhile. */
  ahead({ tenant, group: name, weight }: Pick<Waiter, 'tenant' | 'group' | 'weight'>): number {
    const group = this.#groups.get(name);
    const start = Math.max(group?.virtual ?? 0, group?.finish.get(tenant) ?? 0);
    // Refusals ask this most, and entries stand in the order of their start.
    const before = countUpTo(group?.entries ?? [], start);
    let others = 0;
    for (const [other, { entries, weight: theirs }] of this.#groups) {
      if (other !== name) others += Math.min(entries.length, Math.ceil(((before + 1) * theirs) / weight));
    }
    return before + others + (this.#first ? 1 : 0);
  }

  #dropLast(): W {
    let group: Group<W> | undefined;
    for (const each of this.#groups.values()) {
      if (each.entries.length > 0 && (!group || each.weight < group.weight)) group = each;
    }
    assert(group, 'a full queue holds somebody');
    const { waiter } = group.entries.pop() as Entry<W>;
    this.#size -= 1;
    giveBack(group, waiter);
    return waiter;
  }
}

/** How many begin at `start` or before. */
function countUpTo(entries: readonly { readonly start: number }[], start: number): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.start ?? 0) <= start) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Most newcomers belong near the end. */
function insert<W extends Waiter>(entries: Entry<W>[], entry: Entry<W>): void {
  entries.splice(countUpTo(entries, entry.start), 0, entry);
}

/** What was not served costs its tenant nothing. */
function giveBack<W extends Waiter>(group: Group<W>, { tenant }: W): void {
  const finish = group.finish.get(tenant);
  if (finish !== undefined) group.finish.set(tenant, finish - 1);
}

/** Tenants whose time is not ahead of their group's need no memory. */
function forgetBehind<W extends Waiter>({ finish, virtual }: Group<W>): void {
  for (const [tenant, until] of finish) if (until <= virtual + 1) finish.delete(tenant);
}
