import type { Randomness } from '#kit/random.ts';

/** How many of many rare events happen, `mean` on average. Above 50 a rounded normal stands in. */
export function poisson(mean: number, random: Randomness): number {
  if (mean > 50) {
    const normal = Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
  }
  const floor = Math.exp(-mean);
  let count = 0;
  for (let product = random.float(); product > floor; product *= random.float()) count += 1;
  return count;
}

/** A hash of all that was added, in order: two lanes of 32 bits. */
export class Digest {
  #a = 0x811c9dc5;
  #b = 0x1b873593;

  add(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x01000193);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul(this.#b ^ value, 0x85ebca6b);
    this.#b ^= this.#b >>> 13;
  }

  hex(): string {
    return [this.#a, this.#b].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
