import { Fault } from '#kit/fault.ts';

/**
 * Bounds what the large bodies of all requests together take while they are in hand: one key may send a hundred at once,
 * each as slowly as it is allowed to, and a key is easily had. Who would go over the bound is turned away and may come
 * again; small bodies are not counted, because the limits on requests bound those.
 */
export class BodiesInHand {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A body that is about to come. What is answered is told how many bytes of it have come so far, each time, and says
   * whether there is room; they are given back when `answer` closes.
   */
  next(answer: { once(event: 'close', listener: () => void): unknown }): (bytesSoFar: number) => boolean {
    let counted = 0;
    return (bytesSoFar) => {
      const more = bytesSoFar - counted;
      if (bytesSoFar <= SMALL_BODY_BYTES || more <= 0) return true;
      if (this.#bytes + more > this.#bytesMax) return false;
      if (counted === 0) {
        answer.once('close', () => {
          this.#bytes -= counted;
        });
      }
      this.#bytes += more;
      counted = bytesSoFar;
      return true;
    };
  }
}

const SMALL_BODY_BYTES = 65_536;

/** What a body may take. */
export interface Room {
  readonly bytesMax: number;
  /** Whether there is room for this many bytes of it, among all bodies. */
  readonly fits: (bytesSoFar: number) => boolean;
}

export function noRoom(): Fault {
  return new Fault('too-many-at-once', { outer: 'Too many large requests at once.', retryAfterS: 1 });
}
