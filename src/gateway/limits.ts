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
 * account's of the category, its tier's of ten seconds, and the plan's of a minute and of a day. The account's exist so that making many keys gains
 * little.
 *
 * Everything is kept per key *record* and account, and a key that is not known never gets here, so what an outsider can
 * make this hold is bounded by the number of keys. In one process it lives in memory; many gateways share it behind the
 * same face: `takeRequest` may then answer with a promise. `enter` must answer at once, before the body is read, so a
 * shared store leases each process a share of the places, as it does with money.
 */
export interface Limits {
  /** Takes one request of `category`. */
  takeRequest(key: LimitedKey, category: Category, nowMs: number): RateVerdict | Promise<RateVerdict>;
  /** Takes one place among the requests at once; `leave` gives back one that was allowed. */
  enter(key: LimitedKey): PlaceVerdict;
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
interface Check {
  readonly of: LimitOf;
  readonly dueMs: DueMs;
  readonly bucket: keyof DueMs;
  readonly limit: number;
  readonly periodMs: number;
}

/** The checks of a key, as they follow from its record and this tier. */
interface Worked {
  readonly tier: Tier;
  readonly of: Partial<Record<Bucket, readonly Check[]>>;
}

/** Limits of one process. A restart forgets them: what was used of a day's allowance too. */
export class MemoryLimits implements Limits {
  readonly #settings: LimitSettings;
  readonly #factor: number;
  readonly #keys = new Map<string, Use>();
  readonly #accounts = new Map<string, Use>();
  readonly #checks = new WeakMap<LimitedKey, Worked>();
  readonly #tiers: TierOf;

  constructor(settings: LimitSettings, tiers: TierOf = firstTiers) {
    this.#settings = settings;
    this.#tiers = tiers;
    this.#factor = settings.accountFactor ?? ACCOUNT_FACTOR;
  }

  takeRequest(key: LimitedKey, category: Category, nowMs: number): RateVerdict {
    const checks = this.#checksOf(key, BUCKET_OF[category]);
    for (const check of checks) if (waitMs(check, nowMs) > 1e-6) return verdict(check, nowMs, false);
    let tightest = checks[0] as Check;
    let least = Number.POSITIVE_INFINITY;
    for (const check of checks) {
      check.dueMs[check.bucket] = Math.max(nowMs, check.dueMs[check.bucket]) + check.periodMs / check.limit;
      const left = remaining(check, nowMs);
      if (left < least) {
        least = left;
        tightest = check;
      }
    }
    return verdict(tightest, nowMs, true);
  }

  enter(key: LimitedKey): PlaceVerdict {
    const { concurrentPerKey } = this.#settings;
    const used = useOf(this.#keys, key.id);
    const account = useOf(this.#accounts, key.ownerId);
    const plan = planOf(key.plan).concurrent;
    const tier = this.#tiers(tierOfPlan(key.plan)).concurrent;
    const byTier = tier !== null && tier < (plan ?? concurrentPerKey * this.#factor);
    const accountMax = byTier ? tier : (plan ?? concurrentPerKey * this.#factor);
    const ofKey = concurrentPerKey - used.inFlight;
    const ofAccount = accountMax - account.inFlight;
    const allowed = ofKey > 0 && ofAccount > 0;
    if (allowed) {
      used.inFlight += 1;
      account.inFlight += 1;
    }
    const left = Math.max(0, Math.min(ofKey, ofAccount) - (allowed ? 1 : 0));
    return ofAccount < ofKey
      ? {
          allowed,
          of: byTier ? 'tier' : plan === null ? 'account' : 'plan',
          limit: accountMax,
          remaining: left,
        }
      : { allowed, of: 'key', limit: concurrentPerKey, remaining: left };
  }

  leave(key: LimitedKey): void {
    const used = useOf(this.#keys, key.id);
    const account = useOf(this.#accounts, key.ownerId);
    used.inFlight = Math.max(0, used.inFlight - 1);
    account.inFlight = Math.max(0, account.inFlight - 1);
  }

  /** A key's record is replaced when it changes, and so is a tier: what follows from both is worked out once. */
  #checksOf(key: LimitedKey, bucket: Bucket): readonly Check[] {
    const tier = this.#tiers(tierOfPlan(key.plan));
    let known = this.#checks.get(key);
    if (known?.tier !== tier) {
      known = { tier, of: {} };
      this.#checks.set(key, known);
    }
    return (known.of[bucket] ??= this.#checksFor(key, bucket, tier));
  }

  #checksFor(key: LimitedKey, bucket: Bucket, tier: Tier): Check[] {
    const { dueMs } = useOf(this.#keys, key.id);
    const limit = this.#settings.requestsPerMinute[bucket];
    const checks: Check[] = [{ of: 'key', dueMs, bucket, limit, periodMs: MINUTE_MS }];
    const own = key.scope?.requestsPerMinute ?? null;
    if (own !== null) checks.push({ of: 'key-scope', dueMs, bucket: 'all', limit: own, periodMs: MINUTE_MS });
    const account = useOf(this.#accounts, key.ownerId).dueMs;
    checks.push({
      of: 'account',
      dueMs: account,
      bucket,
      limit: limit * this.#factor,
      periodMs: MINUTE_MS,
    });
    if (tier.burst !== null)
      checks.push({
        of: 'tier-burst',
        dueMs: account,
        bucket: 'burst',
        limit: tier.burst,
        periodMs: BURST_MS,
      });
    if (key.plan === undefined) return checks;
    const { requestsPerMinute, requestsPerDay } = planOf(key.plan);
    if (requestsPerMinute !== null)
      checks.push({
        of: 'plan',
        dueMs: account,
        bucket: 'all',
        limit: requestsPerMinute,
        periodMs: MINUTE_MS,
      });
    if (requestsPerDay !== null)
      checks.push({ of: 'plan-day', dueMs: account, bucket: 'day', limit: requestsPerDay, periodMs: DAY_MS });
    return checks;
  }
}

/** How long until this limit would let a request pass; not more than zero when it does. */
function waitMs(check: Check, nowMs: number): number {
  // The bucket is full when the next due time lies a whole period ahead (rounding forgiven).
  return Math.max(nowMs, check.dueMs[check.bucket]) + check.periodMs / check.limit - check.periodMs - nowMs;
}

function verdict(check: Check, nowMs: number, allowed: boolean): RateVerdict {
  const ahead = Math.max(0, check.dueMs[check.bucket] - nowMs);
  return {
    allowed,
    of: check.of,
    limit: check.limit,
    remaining: remaining(check, nowMs),
    resetS: Math.ceil(ahead / 1000),
    retryAfterS: allowed ? 0 : Math.max(1, Math.ceil(waitMs(check, nowMs) / 1000)),
  };
}

/** How many more requests this limit would let pass right now. */
function remaining(check: Check, nowMs: number): number {
  const ahead = Math.max(0, check.dueMs[check.bucket] - nowMs);
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
