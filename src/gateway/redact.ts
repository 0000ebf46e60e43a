/**
 * Takes out of a text what must not be kept even by whoever asked for a debug log: keys and passwords, bearer tokens, e-mail
 * addresses, card numbers. By rule, so it errs on the side of taking too much. Every rule reads a text once, with bounds on how
 * far it looks, so no text makes it slow.
 */
export function redactText(text: string): string {
  let redacted = text;
  for (const { rule, by } of RULES) redacted = redacted.replace(rule, by);
  return redacted.replace(DIGITS, (run) => (isCard(run) ? CARD : run));
}

/** The same for every text, member name and number of a JSON value. Members that name a secret lose their value whole. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'number') return Number.isInteger(value) && isCard(String(value)) ? CARD : value;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= DEPTH_MAX) return TOO_DEEP;
  if (Array.isArray(value) && value.length > NUMBERS_MAX && value.every((each) => typeof each === 'number'))
    return `[${value.length} numbers]`;
  if (Array.isArray(value)) return value.map((each) => redactValue(each, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      redactText(name),
      SECRET_NAME.test(name) && (typeof each === 'string' || typeof each === 'number')
        ? SECRET
        : redactValue(each, depth + 1),
    ]),
  );
}

export const SECRET = '[secret]';
export const MAIL = '[e-mail address]';
export const CARD = '[card number]';
export const DATA = '[data]';
const TOO_DEEP = '[too deep]';
const DEPTH_MAX = 64;
/** More than these in a row are a vector, and nothing to read. */
const NUMBERS_MAX = 64;

/** A member of this name holds a secret, whatever it looks like. */
const SECRET_NAME =
  /^(?:x-)?(?:api[-_ ]?key|apikey|authorization|auth[-_ ]?token|access[-_ ]?token|refresh[-_ ]?token|client[-_ ]?secret|secret(?:[-_ ]?(?:access[-_ ]?)?key)?|pass(?:word|wd|phrase)|private[-_ ]?key|token|cookie|set-cookie|card[-_ ]?number|cvc|cvv)$/i;

/** In this order: what is a secret by its surroundings goes first, so that no later rule cuts it in two. */
const RULES: readonly { rule: RegExp; by: string }[] = [
  // Pictures and sound inside a text: nothing to read, and anything could be in them.
  { rule: /data:[\w.+-]{1,60}\/[\w.+-]{1,60}(?:;[\w=.+-]{1,60}){0,4},[A-Za-z0-9+/=_%-]{32,}/g, by: DATA },
  { rule: /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}-----|$)/g, by: SECRET },
  { rule: /\b(bearer|basic)[ \t]{1,8}[A-Za-z0-9._~+/=-]{6,}/gi, by: `$1 ${SECRET}` },
  // Three parts of base 64 with dots between: a signed token.
  { rule: /(?<![\w-])eyJ[A-Za-z0-9_-]{6,2000}(?:\.[A-Za-z0-9_-]{4,4000}){1,4}/g, by: SECRET },
  // Our own, and those that begin the way keys of well-known services do.
  {
    rule: /\b(?:sk|pk|rk|sess|whsec|hf|gsk|xai|r8|glpat|npm|dop_v1|xox[abeoprs])[-_][A-Za-z0-9_-]{6,}/g,
    by: SECRET,
  },
  { rule: /\b(?:gh[opsur]_|github_pat_)[A-Za-z0-9_]{16,}/g, by: SECRET },
  { rule: /\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g, by: SECRET },
  { rule: /\bAIza[A-Za-z0-9_-]{20,}/g, by: SECRET },
  // A key of an account on a chain.
  { rule: /\b0x[0-9a-fA-F]{64}\b/g, by: SECRET },
  // `password: hunter22`, `API_KEY="…"`, `token=…`.
  {
    rule: /((?:api[-_ ]?key|secret(?:[-_ ]?key)?|pass(?:word|wd|phrase)|access[-_ ]?key|private[-_ ]?key|token)["'`]{0,2}[ \t]{0,8}(?::|=|=>)[ \t]{0,8}["'`]?)[^\s"'`,;&)}\]]{4,}/gi,
    by: `$1${SECRET}`,
  },
  // Who signs in by an address: https://name:password@host.
  { rule: /(\/\/)[^\s/@:]{0,200}:[^\s/@]{1,200}@/g, by: `$1${SECRET}@` },
  // Before and after the sign; also written out of the Latin alphabet.
  {
    rule: /[\p{L}\p{N}._%+'-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/gu,
    by: MAIL,
  },
  // Long runs of base 64, which are data rather than text.
  { rule: /[A-Za-z0-9+/_-]{400,}={0,2}/g, by: DATA },
];

/** Thirteen digits or more, in groups or not. */
const DIGITS = /\d(?:[ -]?\d){12,}/g;

/** Whether 13 to 19 digits in a row of these pass the check that card numbers pass (Luhn). */
function isCard(run: string): boolean {
  const digits = Array.from(run.replace(/\D/g, ''), Number);
  if (digits.length < CARD_DIGITS_MIN || digits.length > RUN_DIGITS_MAX) return false;
  for (let length = CARD_DIGITS_MIN; length <= CARD_DIGITS_MAX; length++)
    for (let from = 0; from + length <= digits.length; from++)
      if (
        digits[from] !== 0 &&
        passesLuhn(digits.slice(from, from + length)) &&
        startsLikeCard(digits, from, length)
      )
        return true;
  return false;
}

const CARD_DIGITS_MIN = 13;
const CARD_DIGITS_MAX = 19;
/** Longer runs are no card with something beside it. */
const RUN_DIGITS_MAX = 40;

/** A whole run may be any scheme's; inside a longer one only what begins like the large schemes', else every tenth number is. */
function startsLikeCard(digits: readonly number[], from: number, length: number): boolean {
  if (length === digits.length) return true;
  return length >= 15 && length <= 16 && [3, 4, 5, 6].includes(digits[from] as number);
}

function passesLuhn(digits: readonly number[]): boolean {
  let sum = 0;
  for (let at = digits.length - 1, double = false; at >= 0; at--, double = !double) {
    const digit = digits[at] as number;
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit;
  }
  return sum % 10 === 0;
}
