import type { Chance } from '../sim/chance.ts';

/** What no honest caller sends: values from a seed, and valid texts of JSON made senseless by a few changes. */

const TEXTS = [
  '',
  'x',
  '\0',
  '\ud800',
  '\udc00x\ud800',
  '\r\nx-injected: 1\r\n\r\n',
  'data: [DONE]\n\n',
  '__proto__',
  'constructor',
  '\u202e\ufeff',
  'a'.repeat(300),
  '💥'.repeat(40),
  'sk-swan-0000',
  '../../etc/passwd',
  '%00%0d%0a',
  "' or '1'='1",
  '-1',
  '1e999',
] as const;
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  0.5,
  1e308,
  -1e308,
  5e-324,
  2 ** 31,
  2 ** 53,
  2 ** 53 + 2,
  1e21,
  16_385,
] as const;
const NAMES = [
  'model',
  'messages',
  'role',
  'content',
  'type',
  'text',
  'input',
  'stream',
  'user',
  'metadata',
  'provider',
  'max_tokens',
  'n',
  'tools',
  'stop',
  'usage',
  'choices',
  'delta',
  'index',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '0',
  'us\u0065r',
] as const;

/** Any value, at most this deep. */
export function senseless(chance: Chance, depth = 3): unknown {
  const kind = chance.whole(0, depth > 0 ? 7 : 4);
  if (kind === 0) return null;
  if (kind === 1) return chance.yes(0.5);
  if (kind <= 3) return chance.yes(0.5) ? chance.one(NUMBERS) : chance.whole(-1_000, 1_000);
  if (kind === 4) return chance.one(TEXTS);
  if (kind === 5) return Array.from({ length: chance.whole(0, 4) }, () => senseless(chance, depth - 1));
  const made: Record<string, unknown> = {};
  for (let i = chance.whole(0, 3); i > 0; i--) put(made, chance.one(NAMES), senseless(chance, depth - 1));
  return made;
}

function remove(from: Record<string, unknown>, name: string): void {
  if (Array.isArray(from)) from.splice(Number(name), 1);
  else delete from[name];
}

/** Sets a member of its own, also where the name is one that assignment would take for the prototype. */
function put(into: object, name: string, value: unknown): void {
  Object.defineProperty(into, name, { value, enumerable: true, configurable: true, writable: true });
}

/** A valid value with one to four places changed: replaced, removed, added to, wrapped, or put in twice. */
export function bent(chance: Chance, valid: unknown): unknown {
  const value = copyOf(valid);
  for (let i = chance.whole(1, 4); i > 0; i--) bend(chance, value);
  return value;
}

/** Plain data, copied: three times as fast as what the platform offers. */
function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  const copy: Record<string, unknown> = {};
  for (const name in value) copy[name] = copyOf((value as Record<string, unknown>)[name]);
  return copy;
}

function bend(chance: Chance, value: unknown): void {
  let at = value as Record<string, unknown>;
  for (;;) {
    const names = Object.keys(at);
    if (names.length === 0) return put(at, Array.isArray(at) ? '0' : chance.one(NAMES), senseless(chance));
    const name = chance.one(names);
    const inner = at[name];
    if (typeof inner === 'object' && inner !== null && chance.yes(0.6)) {
      at = inner as Record<string, unknown>;
      continue;
    }
    const how = chance.whole(0, 9);
    if (how <= 4) put(at, name, senseless(chance));
    else if (how === 5) remove(at, name);
    else if (how === 6) put(at, Array.isArray(at) ? String(at.length) : chance.one(NAMES), senseless(chance));
    else if (how === 7) put(at, name, [inner]);
    else if (how === 8) put(at, name, { [chance.one(NAMES)]: inner });
    else if (typeof inner === 'string') put(at, name, inner + chance.one(TEXTS));
    return;
  }
}

/** The value as bytes; now and then with a member twice, odd spaces, escapes, or changed as bytes are. */
export function written(chance: Chance, value: unknown): Buffer {
  let text = JSON.stringify(value) ?? 'undefined';
  const how = chance.whole(0, 11);
  if (how === 0 && text.startsWith('{'))
    text = `{${JSON.stringify(chance.one(NAMES))}:${JSON.stringify(senseless(chance))},${text.slice(1)}`;
  else if (how === 1) text = text.replaceAll('"user"', '"\\u0075ser"').replaceAll(':', ' :\t\n');
  else if (how === 2) text = ` \r\n${text}\n`;
  const bytes = Buffer.from(text);
  return chance.yes(0.15) ? broken(chance, bytes) : bytes;
}

/** Bytes cut, flipped, doubled or mixed with noise. */
export function broken(chance: Chance, bytes: Buffer): Buffer {
  if (bytes.length === 0) return chance.source.bytes(chance.whole(0, 20));
  const at = chance.whole(0, bytes.length - 1);
  const to = Math.min(bytes.length, at + chance.whole(1, 16));
  switch (chance.whole(0, 4)) {
    case 0:
      return bytes.subarray(0, at);
    case 1: {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << chance.whole(0, 7));
      return flipped;
    }
    case 2:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([
        bytes.subarray(0, at),
        chance.source.bytes(chance.whole(1, 8)),
        bytes.subarray(at),
      ]);
    default:
      return chance.source.bytes(chance.whole(0, 64));
  }
}
