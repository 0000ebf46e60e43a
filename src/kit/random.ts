import { randomBytes } from 'node:crypto';

/** Chance, handed in, so that a seeded run repeats exactly. */
export interface Randomness {
  /** Unpredictable bytes: keys, ids. */
  bytes(length: number): Buffer;
  /** A number in [0, 1): jitter and ties. */
  float(): number;
}

/** The machine's own randomness. `bytes` is cryptographic; `float` is not and never makes a secret. */
export const systemRandomness: Randomness = {
  bytes: (length) => randomBytes(length),
  float: () => Math.random(),
};

/**
 * A repeatable source for tests and simulations (the public-domain `splitmix32` mixing steps; 2^32 period).
 * Never use it for keys.
 */
export function seededRandomness(seed: number): Randomness {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return {
    bytes(length) {
      const out = Buffer.allocUnsafe(length);
      for (let i = 0; i < length; i++) out[i] = next() & 0xff;
      return out;
    },
    float: () => next() / 0x1_0000_0000,
  };
}
