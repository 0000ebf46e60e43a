/**
 * The events of one answer, as they were passed on, up to a bound. Kept only where the model's vocabulary is known, so
 * that a worker can count the tokens exactly afterwards.
 */
export class DeliveredText {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(events: Buffer): void {
    this.#bytes += events.length;
    // A copy: the events are a view of a whole message, which would be kept with them.
    if (this.#bytes <= this.#bytesMax) this.#parts.push(Buffer.from(events));
    else this.#parts = [];
  }

  /** The events, or undefined when they were more than is kept: such an answer is not recounted. */
  get events(): Buffer | undefined {
    return this.#bytes <= this.#bytesMax ? Buffer.concat(this.#parts) : undefined;
  }
}
