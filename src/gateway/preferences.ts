import { NO_PREFERENCES, type Preferences, type PreferredSort } from '#domain/preferences.ts';
import { Fault } from '#kit/fault.ts';

/**
 * Reads the `provider` object of a request (https://openrouter.ai/docs/guides/routing/provider-selection). Unknown fields
 * and wrong values are refused by name: a preference that is silently passed over breaks a promise that the caller
 * relies on, about prices or about prompts.
 */

const NAMES_MAX = 64;
const SORTS: readonly PreferredSort[] = ['price', 'throughput', 'latency'];
const QUANTIZATIONS: ReadonlySet<string> = new Set(
  'int4 int8 fp4 mxfp4 nvfp4 fp6 fp8 mxfp8 fp16 bf16 fp32 unknown'.split(' '),
);

function refuse(field: string, outer: string): never {
  throw new Fault('request-invalid', { outer, param: field === '' ? 'provider' : `provider.${field}` });
}

type Mutable = { -readonly [K in keyof Preferences]: Preferences[K] };

const READERS: Readonly<Record<string, (value: unknown, into: Mutable) => void>> = {
  order: (value, into) => {
    into.order = names('order', value);
  },
  only: (value, into) => {
    into.only = names('only', value);
  },
  ignore: (value, into) => {
    into.ignore = names('ignore', value);
  },
  allow_fallbacks: (value, into) => {
    into.allowFallbacks = truth('allow_fallbacks', value);
  },
  require_parameters: (value, into) => {
    into.requireParameters = truth('require_parameters', value);
  },
  quantizations: (value, into) => {
    into.quantizations = names('quantizations', value);
    const strange = into.quantizations.find((name) => !QUANTIZATIONS.has(name));
    if (strange !== undefined)
      refuse('quantizations', `'provider.quantizations' may name ${[...QUANTIZATIONS].join(', ')}.`);
  },
  sort: (value, into) => {
    into.sort = sortOf(value);
  },
  max_price: readMaxPrice,
  preferred_min_throughput: (value, into) => {
    into.minThroughput = cutoff('preferred_min_throughput', value);
  },
  preferred_max_latency: (value, into) => {
    // OpenRouter states latencies in seconds.
    into.maxLatencyMs = 1_000 * cutoff('preferred_max_latency', value);
  },
  data_collection: (value, into) => {
    if (value !== 'allow' && value !== 'deny')
      refuse('data_collection', `'provider.data_collection' must be "allow" or "deny".`);
    into.denyCollection = value === 'deny';
  },
  zdr: (value, into) => {
    into.zeroRetention = truth('zdr', value);
  },
};

/** Reads `value`, the body's `provider`. Throws a `Fault` (`request-invalid`) naming the field. */
export function readPreferences(value: unknown): Preferences {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('', "'provider' must be an object.");
  }
  const read: Mutable = { ...NO_PREFERENCES };
  for (const [field, given] of Object.entries(value)) {
    if (given === null) continue;
    const reader = Object.hasOwn(READERS, field) ? READERS[field] : undefined;
    if (!reader) refuse(field.slice(0, 64), `'provider' has no field of this name here.`);
    reader(given, read);
  }
  return read;
}

/** A model name with the shortcut behind it, if there is one: `:floor` sorts by price, `:nitro` by throughput. */
export function readShortcut(model: string): { model: string; sort: PreferredSort | undefined } {
  if (model.endsWith(':floor')) return { model: model.slice(0, -':floor'.length), sort: 'price' };
  if (model.endsWith(':nitro')) return { model: model.slice(0, -':nitro'.length), sort: 'throughput' };
  return { model, sort: undefined };
}

function names(field: string, value: unknown): string[] {
  const fits =
    Array.isArray(value) &&
    value.length <= NAMES_MAX &&
    value.every((name) => typeof name === 'string' && name !== '' && name.length <= 200);
  if (!fits) refuse(field, `'provider.${field}' must be an array of at most ${NAMES_MAX} names.`);
  return value.map((name: string) => name.toLowerCase());
}

function truth(field: string, value: unknown): boolean {
  if (typeof value !== 'boolean') refuse(field, `'provider.${field}' must be true or false.`);
  return value;
}

function sortOf(value: unknown): PreferredSort {
  const by = typeof value === 'object' && value !== null ? (value as { by?: unknown }).by : value;
  const sort = SORTS.find((name) => name === by);
  if (!sort)
    refuse('sort', `'provider.sort' must be ${SORTS.join(', ')}, or an object with one of them in 'by'.`);
  return sort;
}

/** A number, or OpenRouter's object of percentiles: the most demanding of them, since we keep one average. */
function cutoff(field: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const { p50 } = value as { p50?: unknown };
    if (typeof p50 === 'number' && p50 >= 0 && Number.isFinite(p50)) return p50;
  }
  return refuse(field, `'provider.${field}' must be a number, or an object with a number in 'p50'.`);
}

/** Prices are dollars per million tokens, and dollars per request: numbers, or decimal text. */
function readMaxPrice(value: unknown, into: Mutable): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('max_price', "'provider.max_price' must be an object.");
  }
  const limits = { prompt: undefined, completion: undefined, request: undefined } as {
    -readonly [K in keyof Preferences['maxPrice']]: Preferences['maxPrice'][K];
  };
  for (const [unit, given] of Object.entries(value)) {
    if (given === null) continue;
    if (unit === 'prompt' || unit === 'completion') limits[unit] = picoFrom(unit, given, 6);
    else if (unit === 'request') limits.request = picoFrom(unit, given, 12);
    // Image and audio prices are asked for in OpenRouter's shape; nothing here is priced by them.
    else if (unit !== 'image' && unit !== 'audio')
      refuse('max_price', "'provider.max_price' may limit prompt, completion and request.");
  }
  into.maxPrice = limits;
}

/** `dollars × 10^exponent` as a whole number, rounded down: a limit is never exceeded by rounding. */
function picoFrom(unit: string, value: unknown, exponent: number): bigint {
  const text = typeof value === 'number' ? decimal(value) : value;
  const match = typeof text === 'string' ? /^(\d{1,12})(?:\.(\d{1,30}))?$/.exec(text) : null;
  if (!match) refuse('max_price', `'provider.max_price.${unit}' must be an amount of dollars, 0 or more.`);
  const [, wholePart, decimals = ''] = match;
  return BigInt(`${wholePart}${decimals.slice(0, exponent).padEnd(exponent, '0')}`);
}

function decimal(value: number): string | undefined {
  return Number.isFinite(value) && value >= 0 ? value.toFixed(12).replace(/\.?0+$/, '') : undefined;
}
