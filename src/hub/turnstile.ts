import type { Clock } from '#kit/clock.ts';

/**
 * Where agents wait to come in. When a gateway has started, all its agents dial at once, and each handshake is work on the one
 * thread that serves everybody else. So only so many steps of handshakes (an upgrade, a registration, what follows when it is
 * known whose node it is) are taken in a turn of the event loop; the rest wait, and requests are served between the turns.
 *
 * Nobody waits while there is room. Where there is none, networks take turns: a house with thousands of nodes holds up
 * another's one by a single step. Whoever leaves while waiting is told its turn all the same, and does nothing with it.
 */
export class Turnstile {
  readonly #clock: Clock;
  readonly #stepsPerTurn: number;
  /** By network, in the order of their turns. */
  readonly #lines = new Map<string, (() => void)[]>();
  #waiting = 0;
  #taken = 0;
  #turning = false;

  constructor(clock: Clock, stepsPerTurn: number) {
    this.#clock = clock;
    this.#stepsPerTurn = stepsPerTurn;
  }

  /** How many steps wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Takes a step, now or when it is this network's turn. */
  pass(network: string, step: () => void): void {
    this.#turnSoon();
    if (this.#waiting === 0 && this.#taken < this.#stepsPerTurn) {
      this.#taken += 1;
      step();
      return;
    }
    const line = this.#lines.get(network);
    if (line) line.push(step);
    else this.#lines.set(network, [step]);
    this.#waiting += 1;
  }

  #turnSoon(): void {
    if (this.#turning) return;
    this.#turning = true;
    this.#clock.endOfTurn(() => this.#turn());
  }

  #turn(): void {
    this.#turning = false;
    this.#taken = 0;
    if (this.#waiting === 0) return;
    // First, so that a step that throws holds nobody up.
    this.#turnSoon();
    while (this.#taken < this.#stepsPerTurn && this.#waiting > 0) {
      this.#taken += 1;
      this.#next()?.();
    }
  }

  #next(): (() => void) | undefined {
    for (const [network, line] of this.#lines) {
      this.#waiting -= 1;
      const step = line.shift();
      // To the end: the others first.
      this.#lines.delete(network);
      if (line.length > 0) this.#lines.set(network, line);
      return step;
    }
    return undefined;
  }
}
