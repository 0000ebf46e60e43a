import type { Clock, Timer } from './clock.ts';

/**
 * Work that repeats and never overlaps itself: a round that outlasts its period delays the next one. `close` waits for
 * the round under way. A round that throws is reported and the next one still comes.
 */
export class Rounds {
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #work: () => Promise<void>;
  readonly #failed: (error: unknown) => void;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(
    clock: Clock,
    round: { periodMs: number; work: () => Promise<void>; failed: (error: unknown) => void },
  ) {
    this.#clock = clock;
    this.#periodMs = round.periodMs;
    this.#work = round.work;
    this.#failed = round.failed;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.after(this.#periodMs, () => {
      this.#running = this.#work()
        .catch(this.#failed)
        .finally(() => {
          this.#running = undefined;
          this.#schedule();
        });
    });
  }

  /** No further round starts; resolves when the one under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }
}
