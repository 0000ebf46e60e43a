import type { Randomness } from './random.ts';

/**
 * The wait before retry number `attempt` (0 for the first retry): exponential with full jitter, so that a herd that
 * failed together does not return together. Milliseconds, in [0, min(capMs, baseMs·2^attempt)).
 */
export function backoffMs(
  attempt: number,
  bounds: { baseMs: number; capMs: number },
  random: Randomness,
): number {
  const ceiling = Math.min(bounds.capMs, bounds.baseMs * 2 ** Math.min(attempt, 30));
  return random.float() * ceiling;
}

/**
 * A retry budget: each first try earns `ratio` of a retry, up to `burst` saved ones; a retry spends one. In a total
 * outage the work sent stays below `1 + ratio` per request once the savings are gone, instead of multiplying.
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #burst: number;
  #saved: number;

  constructor(limits: { ratio: number; burst: number }) {
    this.#ratio = limits.ratio;
    this.#burst = limits.burst;
    this.#saved = limits.burst;
  }

  /** Notes a first try. */
  earn(): void {
    this.#saved = Math.min(this.#burst, this.#saved + this.#ratio);
  }

  /** Takes one retry if there is one. */
  spend(): boolean {
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }

  /** Is no further retry saved? */
  get spent(): boolean {
    return this.#saved < 1;
  }
}
