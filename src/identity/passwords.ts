import { hash, verify } from '@node-rs/argon2';
import { Fault } from '#kit/fault.ts';
import type { Randomness } from '#kit/random.ts';

/**
 * Passwords, as argon2id hashes with the library's own parameters (19 MiB, 2 passes, 1 lane: OWASP's first choice). A check
 * takes about 15 ms and runs on the thread pool that also writes the usage journal, so only two run at once and a crowd
 * waits in a line of bounded length: a flood of logins must not slow down serving.
 *
 * A check for somebody who does not exist takes as long as any other: it verifies against a hash that nothing matches.
 */
export class Passwords {
  readonly #nobody: Promise<string>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(randomness: Randomness) {
    this.#nobody = hash(randomness.bytes(32));
    // Whoever needs it meets the error.
    this.#nobody.catch(() => {});
  }

  /** Throws `Fault('tried-too-often')` when too many wait. */
  async hash(password: string): Promise<string> {
    return await this.#inTurn(() => hash(password));
  }

  /** Does `password` belong to this hash? Undefined is nobody's: the answer is no, after the usual time. */
  async matches(kept: string | undefined, password: string): Promise<boolean> {
    const against = kept ?? (await this.#nobody);
    const same = await this.#inTurn(() => verify(against, password));
    return same && kept !== undefined;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_ONCE) {
      if (this.#waiting.length >= WAITING_MAX) {
        throw new Fault('tried-too-often', { inner: 'too many password checks', retryAfterS: 5 });
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // The place goes to whoever waits longest.
      if (next) next();
      else this.#running -= 1;
    }
  }
}

const AT_ONCE = 2;
const WAITING_MAX = 64;
