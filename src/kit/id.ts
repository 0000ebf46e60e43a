import type { Clock } from './clock.ts';
import type { Randomness } from './random.ts';

/**
 * Makes ids such as `req_0K3F9ZQ2M4T7WXYB1C5D8E`: a prefix that says what it names, ten characters of time so that ids
 * made later sort later, and twelve characters (60 bits) of chance. The alphabet is Crockford's base 32.
 */
export type IdMaker = (prefix: string) => string;

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Every two characters: an id is put together from half as many pieces. */
const PAIRS = ALPHABET.split('').flatMap((first) => ALPHABET.split('').map((second) => first + second));
const CHANCE_CHARS = 12;
const POOL_BYTES = 4096;

/** An id maker that labels with `clock`'s wall time and draws from `randomness` in pools (a draw per id costs 2 µs). */
export function idMaker(clock: Clock, randomness: Randomness): IdMaker {
  let pool = randomness.bytes(POOL_BYTES);
  let used = 0;
  let lastMs = -1;
  let timePart = '';
  return (prefix) => {
    const ms = clock.wallMs();
    if (ms !== lastMs) {
      lastMs = ms;
      timePart = '';
      let rest = Math.floor(ms);
      for (let i = 0; i < 10; i++) {
        timePart = ALPHABET[rest % 32] + timePart;
        rest = Math.floor(rest / 32);
      }
    }
    if (used + CHANCE_CHARS > POOL_BYTES) {
      pool = randomness.bytes(POOL_BYTES);
      used = 0;
    }
    let id = `${prefix}_${timePart}`;
    for (let i = 0; i < CHANCE_CHARS; i += 2) {
      id += PAIRS[(((pool[used++] as number) & 31) << 5) | ((pool[used++] as number) & 31)];
    }
    return id;
  };
}

const MADE = new RegExp(`^[a-z]+_([${ALPHABET}]{10})`);
/** The year 10,000: nothing of ours is made later, and not everybody can read such a moment. */
const LATEST_MS = 253_402_214_400_000;

/** When an id was made, in wall milliseconds, as it says itself; undefined for what is none of these ids. */
export function madeAtMs(id: string): number | undefined {
  const [, time] = MADE.exec(id) ?? [];
  if (time === undefined) return undefined;
  let ms = 0;
  for (const letter of time) ms = ms * 32 + ALPHABET.indexOf(letter);
  return ms < LATEST_MS ? ms : undefined;
}
