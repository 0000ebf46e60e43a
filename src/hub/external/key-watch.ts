import type { Sealed } from '#kit/sealed.ts';

/** Shorter ones are placeholders such as `none`, which an answer may well say. */
const KEY_CHARS_MIN = 16;

/**
 * Looks for an endpoint's key in what the endpoint answers: a server or a proxy that echoes its request's headers would
 * hand the key to a consumer. Also where it comes in pieces, one event after the other.
 */
export class KeyWatch {
  readonly #key: string | undefined;
  #said = '';

  constructor(key: Sealed<string> | undefined) {
    const secret = key?.open();
    this.#key = secret !== undefined && secret.length >= KEY_CHARS_MIN ? secret : undefined;
  }

  /** Does `text` hold the key? */
  isIn(text: string | Buffer): boolean {
    return this.#key !== undefined && text.includes(this.#key);
  }

  /** Does the answer hold the key, now that `piece` has been added to it? */
  isSaidWith(piece: string): boolean {
    if (this.#key === undefined) return false;
    const said = this.#said + piece;
    this.#said = said.slice(-this.#key.length);
    return said.includes(this.#key);
  }
}
