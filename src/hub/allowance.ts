import type { Clock } from '#kit/clock.ts';

/** So many at once, and so many a second after that. What is left over is never more than the burst. */
export class Allowance {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at: number;

  constructor(clock: Clock, limits: { burst: number; perSecond: number }) {
    this.#clock = clock;
    this.#burst = limits.burst;
    this.#perSecond = limits.perSecond;
    this.#left = limits.burst;
    this.#at = clock.nowMs();
  }

  /** Takes one; false when none is left. */
  take(): boolean {
    if (this.#left < 1) {
      const now = this.#clock.nowMs();
      this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1_000) * this.#perSecond);
      this.#at = now;
      if (this.#left < 1) return false;
    }
    this.#left -= 1;
    return true;
  }
}
