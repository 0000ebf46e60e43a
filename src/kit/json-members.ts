/**
 * Changes the members of a JSON object in its text, without parsing and writing all of it: what is not changed stays
 * byte for byte (numbers too long for a double, escapes, spacing), and a long string costs one search for its end.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * `json` without the top-level members named in `drop` (every one, where a name comes twice), and with those of `set`
 * in place of any of the same name. `json` must be the text of an object that `JSON.parse` accepts; otherwise the answer
 * is undefined or nonsense, but never an exception. Nesting may be of any depth.
 */
export function withMembers(
  json: Buffer,
  change: { drop?: ReadonlySet<string>; set?: Readonly<Record<string, unknown>> },
): Buffer | undefined {
  const { drop, set = {} } = change;
  const kept: Buffer[] = [];
  let at = skipSpace(json, 0);
  if (json[at] !== OPEN_BRACE) return undefined;
  at = skipSpace(json, at + 1);
  while (at < json.length && json[at] !== CLOSE_BRACE) {
    const start = at;
    if (json[at] !== QUOTE) return undefined;
    const nameEnd = stringEnd(json, at);
    const name = nameOf(json, at, nameEnd);
    at = skipSpace(json, nameEnd);
    if (name === undefined || json[at] !== COLON) return undefined;
    at = valueEnd(json, skipSpace(json, at + 1));
    if (!drop?.has(name) && !Object.hasOwn(set, name)) kept.push(json.subarray(start, at));
    at = skipSpace(json, at);
    if (json[at] === COMMA) at = skipSpace(json, at + 1);
  }
  for (const [name, value] of Object.entries(set)) {
    if (value !== undefined) kept.push(Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)}`));
  }
  const parts: Buffer[] = [Buffer.from('{')];
  kept.forEach((member, i) => {
    if (i > 0) parts.push(COMMA_BYTES);
    parts.push(member);
  });
  parts.push(Buffer.from('}'));
  return Buffer.concat(parts);
}

const COMMA_BYTES = Buffer.from(',');

/** The name between two quotes; undefined where it is no string. */
function nameOf(json: Buffer, start: number, end: number): string | undefined {
  const text = json.toString('utf8', start, end);
  if (!text.includes('\\')) return text.slice(1, -1);
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function skipSpace(json: Buffer, from: number): number {
  let at = from;
  while (at < json.length) {
    const byte = json[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at++;
  }
  return at;
}

/** The index after the quote that closes the string that opens at `from`. */
function stringEnd(json: Buffer, from: number): number {
  let at = from + 1;
  for (;;) {
    const quote = json.indexOf(QUOTE, at);
    if (quote === -1) return json.length;
    let backslashes = 0;
    // Not past `at`: a backslash before it escapes something before it.
    while (quote - 1 - backslashes >= at && json[quote - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/** The index after the value that begins at `from`. */
function valueEnd(json: Buffer, from: number): number {
  let depth = 0;
  let at = from;
  while (at < json.length) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = stringEnd(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (byte === COMMA && depth === 0) return at;
    at++;
  }
  return at;
}
