import { pause, systemClock } from '#kit/clock.ts';

/**
 * Every wait of the chaos has a deadline. One that did not end says what it waited for, and everything that can be told of
 * the market at that moment: a run that stands still without a word teaches nothing.
 */
export class Waits {
  readonly #state: () => Promise<string>;

  constructor(state: () => Promise<string>) {
    this.#state = state;
  }

  /** What `awaited` resolves with. Rejects when that takes longer than `atMostMs`. */
  async for<T>(what: string, awaited: Promise<T>, atMostMs: number): Promise<T> {
    const late = Symbol('late');
    const done = new AbortController();
    const timer = pause(systemClock, atMostMs, done.signal).then(() => late);
    try {
      const first = await Promise.race([awaited, timer]);
      if (first !== late) return first as T;
      awaited.catch(() => {});
      throw new Error(`Waited ${atMostMs / 1_000} s for ${what}, in vain.\n${await this.#state()}`);
    } finally {
      done.abort();
    }
  }
}
