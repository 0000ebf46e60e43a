import { type Randomness, seededRandomness } from '#kit/random.ts';

/**
 * Everything that is left to chance in a simulated world, drawn from one seed. Each part of the world draws from a stream
 * of its own, named after it, so that a change in one part does not shuffle all the others.
 */
export class Chance {
  readonly source: Randomness;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed >>> 0;
    this.source = seededRandomness(this.#seed);
  }

  /** An independent stream of the same seed. */
  stream(name: string): Chance {
    let h = this.#seed ^ 0x811c9dc5;
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return new Chance(h ^ (h >>> 12));
  }

  /** In [0, 1). */
  float(): number {
    return this.source.float();
  }

  /** True with this probability. */
  yes(probability: number): boolean {
    return this.source.float() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.source.float() * (most - least + 1));
  }

  /** A duration between two, in whole microseconds, given and answered in milliseconds. */
  ms(least: number, most: number): number {
    return Math.round((least + this.source.float() * (most - least)) * 1_000) / 1_000;
  }

  /** The wait for the next of events that come `perSecond` times a second on average, in milliseconds. */
  wait(perSecond: number): number {
    return Math.round((-Math.log(1 - this.source.float()) / perSecond) * 1_000_000) / 1_000;
  }

  one<T>(of: readonly T[]): T {
    return of[Math.floor(this.source.float() * of.length)] as T;
  }

  /** One of the names, as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Partial<Record<K, number>>>): K {
    const names = Object.keys(weights) as K[];
    let sum = 0;
    for (const name of names) sum += weights[name] as number;
    let at = this.source.float() * sum;
    for (const name of names) {
      at -= weights[name] as number;
      if (at < 0) return name;
    }
    return names.at(-1) as K;
  }
}
