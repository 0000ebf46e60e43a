/**
 * So many requests a minute, evenly: room for a tenth of them builds up while nothing comes, so that a burst passes and a
 * minute never holds much more than was allowed. Without a limit everything passes.
 */
export class Rate {
  #perMinute: number | undefined;
  #room = 0;
  #atMs: number;

  constructor(perMinute: number | undefined, nowMs: number) {
    this.#perMinute = perMinute;
    this.#atMs = nowMs;
    this.#room = this.#most();
  }

  get perMinute(): number | undefined {
    return this.#perMinute;
  }

  /** From now on. What room there was stays, as far as the new limit has it. */
  change(perMinute: number | undefined, nowMs: number): void {
    if (perMinute === this.#perMinute) return;
    this.#refill(nowMs);
    const had = this.#perMinute;
    this.#perMinute = perMinute;
    this.#room = had === undefined ? this.#most() : Math.min(this.#room, this.#most());
  }

  /** Whether one more may pass now. Takes nothing. */
  hasRoom(nowMs: number): boolean {
    if (this.#perMinute === undefined) return true;
    this.#refill(nowMs);
    return this.#room >= 1;
  }

  /** One more has passed. */
  take(): void {
    this.#room -= 1;
  }

  #most(): number {
    return this.#perMinute === undefined ? 0 : Math.max(1, this.#perMinute / 10);
  }

  #refill(nowMs: number): void {
    const gained = ((this.#perMinute ?? 0) * Math.max(0, nowMs - this.#atMs)) / 60_000;
    this.#room = Math.min(this.#most(), this.#room + gained);
    this.#atMs = nowMs;
  }
}
