import type { Clock, Timer } from '#kit/clock.ts';
import type { VirtualClock } from '#support/virtual-clock.ts';

/**
 * The clock as one life of a process sees it: the world's time, a wall clock of its own that may jump, and timers that
 * die with the process.
 */
export class ProcessClock implements Clock {
  readonly #world: VirtualClock;
  readonly #wallOffset: () => number;
  #dead = false;

  constructor(world: VirtualClock, wallOffset: () => number) {
    this.#world = world;
    this.#wallOffset = wallOffset;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** The process is gone: nothing that it asked for runs any more. */
  kill(): void {
    this.#dead = true;
  }

  wallMs(): number {
    return this.#world.wallMs() + this.#wallOffset();
  }

  nowMs(): number {
    return this.#world.nowMs();
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#world.after(delayMs, () => {
      if (!this.#dead) run();
    });
  }

  every(periodMs: number, run: () => void): Timer {
    const timer = this.#world.every(periodMs, () => {
      if (this.#dead) timer.cancel();
      else run();
    });
    return timer;
  }

  endOfTurn(run: () => void): void {
    this.after(0, run);
  }
}
