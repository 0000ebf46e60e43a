import { inspect } from 'node:util';

/**
 * A value that must not be printed: a prompt, a key, a password. It travels wrapped, so that forgetting is safe: every
 * ordinary way of turning it into text (logging, JSON, templates, the inspector) yields `[sealed]`.
 */
export class Sealed<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. Call it only where the value is used, never where it is described. */
  open(): T {
    return this.#value;
  }

  toString(): string {
    return '[sealed]';
  }

  toJSON(): string {
    return '[sealed]';
  }

  [inspect.custom](): string {
    return '[sealed]';
  }
}
