import type { KeyScope } from '#domain/key-scope.ts';
import type { Category } from '#domain/model.ts';
import { planOf } from '#domain/plan.ts';
import { firstTiers, type Tier, type TierOf, tierOfPlan } from '#domain/tier.ts';

/**
 * How much may be asked for: requests a minute and requests at once, of one key and of all keys of its account. Rates are
 * leaky buckets in their "generic cell rate" form: one number each, the time at which an evenly spaced series would be due
 * next. A whole allowance may be used at once and then comes back evenly.
 *
 * A request takes from six buckets or from none: its key's of the category, the key's own (where its scope sets one), the
 * account's of the category, its tier's of ten seconds, and the plan's of a minute and of a day. The account's exist so that
 * making many keys gains little.
 *
 * Everything is kept per key *record* and account, and a key that is not known never gets here, so what an outsider can
 * make this hold is bounded by the number of keys. In one process it lives in memory and answers at once; many gateways
 * share it behind the same face (`shared-limits.ts`), which answers with a promise when it has to ask.
 */
export interface Limits {
  /** Takes one request of `category`. */
  takeRequest(key: LimitedKey, category: Category, nowMs: number): RateVerdict | Promise<RateVerdict>;
  /** Takes one place among the requests at once; `leave` gives back one that was allowed. */
  enter(key: LimitedKey): PlaceVerdict | Promise<PlaceVerdict>;
  leave(key: LimitedKey): void;
}

/** What of a key's record limits depend on. */
export interface LimitedKey {
  readonly id: string;
  readonly ownerId: string;
  readonly scope?: KeyScope;
  readonly plan?: string;
}

/** Whose limit it is. */
export type LimitOf = 'address' | 'key' | 'key-scope' | 'account' | 'plan' | 'plan-day' | 'tier-burst';

/** Of all limits, what the tightest says: the one that refused, or else the one with the fewest requests left. */
export interface RateVerdict {
  readonly allowed: boolean;
  readonly of: LimitOf;
  /** Requests in a minute, in a day for `plan-day`, or in ten seconds for `tier-burst`. */
  readonly limit: number;
  /** How many more would be allowed right now. */
  readonly remaining: number;
  /** Seconds until the whole allowance is back. */
  readonly resetS: number;
  /** Seconds until the next request is allowed; 0 when one is. */
  readonly retryAfterS: number;
}

export interface PlaceVerdict {
  readonly allowed: boolean;
  readonly of: 'key' | 'account' | 'plan' | 'tier';
  readonly limit: number;
  readonly remaining: number;
}

export interface LimitSettings {
  readonly requestsPerMinute: Readonly<Record<Bucket, number>>;
  readonly concurrentPerKey: number;
  /** What all keys of an account may ask for together, as a multiple of what one may. Default 5. */
  readonly accountFactor?: number;
}

type Bucket = 'llm' | 'image' | 'embedding' | 'other';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const BURST_MS = 10_000;
const ACCOUNT_FACTOR = 5;

/** By bucket: when the next request would be due if they came evenly. Monotonic milliseconds. */
type DueMs = Record<Bucket | 'all' | 'day' | 'burst', number>;

interface Use {
  inFlight: number;
  readonly dueMs: DueMs;
}

/** Multimodal models are billed and limited as language models. */
const BUCKET_OF: Readonly<Record<Category, Bucket>> = {
  llm: 'llm',
  multimodal: 'llm',
  image: 'image',
  embedding: 'embedding',
  audio: 'other',
};

/** One limit that a request has to pass. */
export interface Check {
  readonly of: LimitOf;
  /** Whose requests are counted: `key:…` or `account:…`. */
  readonly whose: string;
  readonly bucket: keyof DueMs;
  readonly limit: number;
  readonly periodMs: number;
}

/** A limit with its count. */
interface Counted extends Check {
  readonly dueMs: DueMs;
}

/** The checks of a key, as they follow from its record and this tier. */
interface Worked {
  readonly tier: Tier;
  readonly of: Partial<Record<Bucket, readonly Counted[]>>;
}

/** Limits of one process. A restart forgets them: what was used of a day's allowance too. */
export class MemoryLimits implements Limits {
  readonly #settings: LimitSettings;
  readonly #parts: number;
  readonly #empty: boolean;
  readonly #keys = new Map<string, Use>();
  readonly #accounts = new Map<string, Use>();
  readonly #checks = new WeakMap<LimitedKey, Worked>();
  readonly #tiers: TierOf;

  /** `parts`: of each limit a minute, only the n-th part is ours. `empty`: nothing of it is saved up at the beginning. */
  constructor(settings: LimitSettings, tiers: TierOf = firstTiers, { parts = 1, empty = false } = {}) {
    this.#settings = settings;
    this.#tiers = tiers;
    this.#parts = parts;
    this.#empty = empty;
  }

  takeRequest(key: LimitedKey, category: Category, nowMs: number): RateVerdict {
    const checks = this.#checksOf(key, BUCKET_OF[category]);
    if (this.#empty) begin(checks, nowMs);
    for (const check of checks)
      if (waitMs(check, dueOf(check), nowMs) > 1e-6) return verdict(check, dueOf(check), nowMs, false);
    let tightest = checks[0] as Counted;
    let least = Number.POSITIVE_INFINITY;
    for (const check of checks) {
      check.dueMs[check.bucket] = Math.max(nowMs, dueOf(check)) + check.periodMs / check.limit;
      const left = remaining(check, dueOf(check), nowMs);
      if (left < least) {
        least = left;
        tightest = check;
      }
    }
    return verdict(tightest, dueOf(tightest), nowMs, true);
  }

  enter(key: LimitedKey): PlaceVerdict {
    const used = useOf(this.#keys, key.id);
    const account = useOf(this.#accounts, key.ownerId);
    const all = accountPlaces(key, this.#settings, this.#tiers);
    const ofKey = this.#settings.concurrentPerKey - used.inFlight;
    const ofAccount = all.places - account.inFlight;
    const allowed = ofKey > 0 && ofAccount > 0;
    if (!allowed) return placeVerdict(this.#settings, all, { allowed, ofKey, ofAccount });
    used.inFlight += 1;
    account.inFlight += 1;
    return placeVerdict(this.#settings, all, { allowed, ofKey: ofKey - 1, ofAccount: ofAccount - 1 });
  }

  leave(key: LimitedKey): void {
    const used = useOf(this.#keys, key.id);
    const account = useOf(this.#accounts, key.ownerId);
    used.inFlight = Math.max(0, used.inFlight - 1);
    account.inFlight = Math.max(0, account.inFlight - 1);
  }

  /** A key's record is replaced when it changes, and so is a tier: what follows from both is worked out once. */
  #checksOf(key: LimitedKey, bucket: Bucket): readonly Counted[] {
    const tier = this.#tiers(tierOfPlan(key.plan));
    let known = this.#checks.get(key);
    if (known?.tier !== tier) {
      known = { tier, of: {} };
      this.#checks.set(key, known);
    }
    return (known.of[bucket] ??= this.#countedFor(key, bucket, tier));
  }

  #countedFor(key: LimitedKey, bucket: Bucket, tier: Tier): Counted[] {
    const own = useOf(this.#keys, key.id).dueMs;
    const account = useOf(this.#accounts, key.ownerId).dueMs;
    return checksFor(key, bucket, this.#settings, tier).map((check) => ({
      ...check,
      limit: check.limit / this.#parts,
      dueMs: check.of === 'key' || check.of === 'key-scope' ? own : account,
    }));
  }
}

/** Every limit that a request of `category` has to pass, the key's own first. */
export function checksOf(
  key: LimitedKey,
  category: Category,
  settings: LimitSettings,
  tier: Tier,
): readonly Check[] {
  return checksFor(key, BUCKET_OF[category], settings, tier);
}

/** How many requests all keys of an account may have under way, and what says so. */
export interface AccountPlaces {
  readonly places: number;
  readonly of: 'account' | 'plan' | 'tier';
}

export function accountPlaces(key: LimitedKey, settings: LimitSettings, tiers: TierOf): AccountPlaces {
  const ofPlan = planOf(key.plan).concurrent;
  const ofTier = tiers(tierOfPlan(key.plan)).concurrent;
  const places = ofPlan ?? settings.concurrentPerKey * (settings.accountFactor ?? ACCOUNT_FACTOR);
  if (ofTier !== null && ofTier < places) return { places: ofTier, of: 'tier' };
  return { places, of: ofPlan === null ? 'account' : 'plan' };
}

/** What is said of a place, by what is left of the key's and of the account's (after it was taken, where it was). */
export function placeVerdict(
  settings: LimitSettings,
  all: AccountPlaces,
  { allowed, ofKey, ofAccount }: { allowed: boolean; ofKey: number; ofAccount: number },
): PlaceVerdict {
  const left = Math.max(0, Math.min(ofKey, ofAccount));
  if (ofAccount >= ofKey) return { allowed, of: 'key', limit: settings.concurrentPerKey, remaining: left };
  return { allowed, of: all.of, limit: all.places, remaining: left };
}

/** The verdict that follows from when each of `checks` is due next. */
export function verdictOf(
  checks: readonly Check[],
  answer: {
    readonly refusedBy: number | undefined;
    readonly nowMs: number;
    readonly dueMs: readonly number[];
  },
  allowed = true,
): RateVerdict {
  const { refusedBy, nowMs, dueMs } = answer;
  if (refusedBy !== undefined)
    return verdict(checks[refusedBy] as Check, dueMs[refusedBy] as number, nowMs, false);
  let tightest = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [i, check] of checks.entries()) {
    const left = remaining(check, dueMs[i] as number, nowMs);
    if (left < least) {
      least = left;
      tightest = i;
    }
  }
  return verdict(checks[tightest] as Check, dueMs[tightest] as number, nowMs, allowed);
}

function checksFor(key: LimitedKey, bucket: Bucket, settings: LimitSettings, tier: Tier): Check[] {
  const limit = settings.requestsPerMinute[bucket];
  const mine = `key:${key.id}`;
  const whose = `account:${key.ownerId}`;
  const checks: Check[] = [{ of: 'key', whose: mine, bucket, limit, periodMs: MINUTE_MS }];
  const own = key.scope?.requestsPerMinute ?? null;
  if (own !== null)
    checks.push({ of: 'key-scope', whose: mine, bucket: 'all', limit: own, periodMs: MINUTE_MS });
  const accountLimit = limit * (settings.accountFactor ?? ACCOUNT_FACTOR);
  checks.push({ of: 'account', whose, bucket, limit: accountLimit, periodMs: MINUTE_MS });
  if (tier.burst !== null)
    checks.push({ of: 'tier-burst', whose, bucket: 'burst', limit: tier.burst, periodMs: BURST_MS });
  if (key.plan === undefined) return checks;
  const { requestsPerMinute, requestsPerDay } = planOf(key.plan);
  if (requestsPerMinute !== null)
    checks.push({ of: 'plan', whose, bucket: 'all', limit: requestsPerMinute, periodMs: MINUTE_MS });
  if (requestsPerDay !== null)
    checks.push({ of: 'plan-day', whose, bucket: 'day', limit: requestsPerDay, periodMs: DAY_MS });
  return checks;
}

function dueOf(check: Counted): number {
  return check.dueMs[check.bucket];
}

/** Buckets that were never asked begin full: nothing was saved up. */
function begin(checks: readonly Counted[], nowMs: number): void {
  for (const { dueMs, bucket, periodMs } of checks) if (dueMs[bucket] === 0) dueMs[bucket] = nowMs + periodMs;
}

/** How long until this limit would let a request pass; not more than zero when it does. */
function waitMs(check: Check, dueMs: number, nowMs: number): number {
  // The bucket is full when the next due time lies a whole period ahead (rounding forgiven).
  return Math.max(nowMs, dueMs) + check.periodMs / check.limit - check.periodMs - nowMs;
}

function verdict(check: Check, dueMs: number, nowMs: number, allowed: boolean): RateVerdict {
  const ahead = Math.max(0, dueMs - nowMs);
  return {
    allowed,
    of: check.of,
    limit: Math.ceil(check.limit),
    remaining: remaining(check, dueMs, nowMs),
    resetS: Math.ceil(ahead / 1000),
    retryAfterS: allowed ? 0 : Math.max(1, Math.ceil(waitMs(check, dueMs, nowMs) / 1000)),
  };
}

/** How many more requests this limit would let pass right now. */
function remaining(check: Check, dueMs: number, nowMs: number): number {
  const ahead = Math.max(0, dueMs - nowMs);
  return Math.max(0, Math.floor(((check.periodMs - ahead) * check.limit) / check.periodMs + 1e-6));
}

function useOf(uses: Map<string, Use>, id: string): Use {
  let use = uses.get(id);
  if (!use) {
    use = { inFlight: 0, dueMs: { llm: 0, image: 0, embedding: 0, other: 0, all: 0, day: 0, burst: 0 } };
    uses.set(id, use);
  }
  return use;
}
