import { createHash } from 'node:crypto';

/**
 * Chance from a seed, for questions. The same seed draws the same questions, so that a paper can be made again when it is
 * argued about; whoever has seen a thousand questions cannot tell the next one, because each block is a hash of the seed,
 * and the seed never leaves the hub.
 */
export class Draw {
  readonly #seed: string;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  #blocks = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** A whole number from `min` to `max`, both included; the span is below 2^32. */
  whole(min: number, max: number): number {
    const span = max - min + 1;
    // What would favour the lower numbers is drawn again.
    const fair = 0x1_0000_0000 - (0x1_0000_0000 % span);
    for (;;) {
      const value = this.#word();
      if (value < fair) return min + (value % span);
    }
  }

  /** One of these. */
  one<T>(of: readonly [T, ...T[]] | readonly T[]): T {
    return of[this.whole(0, of.length - 1)] as T;
  }

  /** So many whole numbers. */
  wholes(count: number, min: number, max: number): number[] {
    return Array.from({ length: count }, () => this.whole(min, max));
  }

  /** A made-up word of so many syllables: `kumofi`. */
  word(syllables: number): string {
    let word = '';
    for (let i = 0; i < syllables; i++) word += this.one(CONSONANTS) + this.one(VOWELS);
    return word;
  }

  #word(): number {
    if (this.#at + 4 > this.#block.length) {
      this.#block = createHash('sha256')
        .update(`${this.#seed}:${this.#blocks++}`)
        .digest();
      this.#at = 0;
    }
    const value = this.#block.readUInt32LE(this.#at);
    this.#at += 4;
    return value;
  }
}

const CONSONANTS = ['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z'] as const;
const VOWELS = ['a', 'e', 'i', 'o', 'u'] as const;
