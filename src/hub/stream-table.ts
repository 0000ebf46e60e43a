/**
 * What is under way on a link, by number. Numbers rise and are never used twice; a number whose place is still taken by an
 * older entry is passed over, so an entry is found by its number alone.
 *
 * It is a `Map` that leaves no past behind. V8 keeps the former tables of a map that grows and shrinks linked to its
 * present one, each with what it held; under load that dragged every request into the old generation, and a fifth of all
 * work went into collecting them.
 */
export class StreamTable<T extends { readonly stream: number }> {
  #places: (T | undefined)[] = emptyPlaces(SMALLEST);
  #next = 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number that comes next: whatever is below was given out, or passed over. */
  get next(): number {
    return this.#next;
  }

  /** Takes a number for an entry that `add` will bring. */
  number(): number {
    if (this.#size * 2 >= this.#places.length) this.#grow();
    while (this.#places[this.#next & (this.#places.length - 1)] !== undefined) this.#next += 1;
    const number = this.#next;
    this.#next += 1;
    return number;
  }

  /** Adds an entry whose number was taken last. */
  add(entry: T): void {
    this.#places[entry.stream & (this.#places.length - 1)] = entry;
    this.#size += 1;
  }

  get(stream: number): T | undefined {
    const entry = this.#places[stream & (this.#places.length - 1)];
    return entry?.stream === stream ? entry : undefined;
  }

  delete(stream: number): boolean {
    if (!this.get(stream)) return false;
    this.#places[stream & (this.#places.length - 1)] = undefined;
    this.#size -= 1;
    return true;
  }

  /** Everything in it, in no particular order. */
  values(): T[] {
    return this.#places.filter((entry) => entry !== undefined);
  }

  #grow(): void {
    const entries = this.values();
    let length = this.#places.length * 2;
    // Two entries may share a place in the larger table too: then the next size is tried.
    for (; ; length *= 2) {
      const taken = new Set(entries.map(({ stream }) => stream & (length - 1)));
      if (taken.size === entries.length) break;
    }
    this.#places = emptyPlaces(length);
    for (const entry of entries) this.#places[entry.stream & (length - 1)] = entry;
  }
}

function emptyPlaces(length: number): undefined[] {
  return Array.from({ length }, () => undefined);
}

/** A power of two, as every length of the table. */
const SMALLEST = 64;
