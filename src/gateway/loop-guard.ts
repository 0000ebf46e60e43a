import { Fault } from '#kit/fault.ts';

/**
 * Keeps a request from going in circles. A market may be the external endpoint of another, and somebody may register a
 * market as an endpoint of itself, at once or by way of others: every call to an endpoint would then be a new paid request
 * here, with a call of its own. So each call carries the names of the markets that it has passed (`CDN-Loop`, RFC 8586:
 * what came is sent on as it came, with our name behind it), and a request that has passed this market is refused.
 *
 * A program in between that drops the header hides the circle. What is left then are the limits that every request meets:
 * the capacity of the endpoint, the deadlines, the places of the key.
 */
export class LoopGuard {
  readonly #ours: ReadonlySet<string>;

  /** `names`: how this market is named on the way, now and under its former secrets. */
  constructor(names: readonly string[]) {
    this.#ours = new Set(names);
  }

  /** What of the header must be sent on. Throws a `Fault`: 508 for a request that was here, 400 for a header that is none. */
  pass(header: string | string[] | undefined): string | undefined {
    if (header === undefined) return undefined;
    const passed = String(header);
    if (passed.length > CHARS_MAX) throw new Fault('request-loops', { outer: TOO_FAR });
    if (!READABLE.test(passed))
      throw new Fault('request-invalid', { outer: 'The header CDN-Loop is not readable.' });
    const names = namesIn(passed);
    if (names.some((name) => this.#ours.has(name))) throw new Fault('request-loops');
    if (names.length >= HOPS_MAX) throw new Fault('request-loops', { outer: TOO_FAR });
    return names.length === 0 ? undefined : passed;
  }
}

/** So many others may stand in between: nobody needs more, and a circle that hides its names ends some day. */
const HOPS_MAX = 8;
const CHARS_MAX = 1_000;
const TOO_FAR = 'This request has passed through too many others on its way.';
const READABLE = /^[\t\x20-\x7e]*$/;

/** The names in a list of `name;parameter="…"`. */
function namesIn(header: string): string[] {
  return header
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .split(',')
    .map((each) => (each.split(';', 1)[0] ?? '').trim().toLowerCase())
    .filter((name) => name !== '');
}
