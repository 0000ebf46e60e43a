import type { Category } from '#domain/model.ts';
import { firstTiers, type Tier, type TierOf, tierOfPlan } from '#domain/tier.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Line } from '#shared/line.ts';
import type { Pot, Pots } from '#shared/pots.ts';
import { type Bucket, giveToBuckets, type RateAnswer, takeFromBuckets } from '#shared/rates.ts';
import {
  accountPlaces,
  type Check,
  checksOf,
  type LimitedKey,
  type LimitSettings,
  type Limits,
  MemoryLimits,
  type PlaceVerdict,
  placeVerdict,
  type RateVerdict,
  verdictOf,
} from './limits.ts';

/**
 * Limits that several gateways keep together, exactly: what one lets in, the others know. Requests a minute are buckets in
 * Redis, requests at once are pots of places that gateways lease (`#shared/pots.ts`).
 *
 * A key that asks often gets some requests ahead, at most a quarter of what is left of its tightest limit, so that most of
 * its requests wait for nothing. What it does not use within a second goes back.
 *
 * While Redis is away, each gateway lets through its part of every limit, so that what all let through is no more than the
 * limit: of places the part of each, beside what is in flight at that moment; of requests a minute the n-th part of the
 * pace, beginning with nothing saved up.
 */
export class SharedLimits implements Limits {
  readonly #line: Line;
  readonly #pots: Pots;
  readonly #settings: LimitSettings;
  readonly #tiers: TierOf;
  readonly #clock: Clock;
  readonly #timeOf: (nowMs: number) => number | undefined;
  readonly #rates = new WeakMap<LimitedKey, Partial<Record<Category, Rate>>>();
  readonly #hot = new Set<Rate>();
  readonly #places = new Map<string, Pot>();
  readonly #ticker: Timer;
  /** What holds while nobody can be asked; begun anew each time. */
  #alone: MemoryLimits | undefined;

  constructor(parts: {
    line: Line;
    pots: Pots;
    settings: LimitSettings;
    /** What each tier gets now; by default what a market begins with. */
    tiers?: TierOf;
    clock: Clock;
    /** For tests: whose time the buckets run in. By default Redis's own. */
    timeOf?: (nowMs: number) => number;
  }) {
    this.#line = parts.line;
    this.#pots = parts.pots;
    this.#settings = parts.settings;
    this.#tiers = parts.tiers ?? firstTiers;
    this.#clock = parts.clock;
    this.#timeOf = parts.timeOf ?? (() => undefined);
    this.#ticker = parts.clock.every(TICK_MS, () => this.#tick());
  }

  takeRequest(key: LimitedKey, category: Category, nowMs: number): RateVerdict | Promise<RateVerdict> {
    if (this.#line.away) return this.#takeAlone(key, category, nowMs);
    this.#alone = undefined;
    const rate = this.#rateOf(key, category);
    if (nowMs - rate.sinceMs > HOT_MS) {
      rate.sinceMs = nowMs;
      rate.before = rate.recent;
      rate.recent = 0;
    }
    rate.recent += 1;
    rate.usedAtMs = nowMs;
    const { ready, last } = rate;
    if (ready > 0 && last) {
      rate.ready -= 1;
      return { ...last, remaining: last.remaining + rate.ready };
    }
    // Whoever comes while the store is being asked is asked for next, all of them at once.
    return new Promise((resolve) => {
      rate.waiting.push(resolve);
      if (rate.waiting.length === 1 && !rate.asking) void this.#ask(key, category, rate);
    });
  }

  enter(key: LimitedKey): PlaceVerdict | Promise<PlaceVerdict> {
    const account = this.#accountPot(key);
    const own = this.#placePot(`key:${key.id}`, this.#settings.concurrentPerKey);
    const first = this.#pots.take(own, 1);
    if (typeof first !== 'number') return first.then((taken) => this.#enterAccount(key, own, account, taken));
    return this.#enterAccount(key, own, account, first);
  }

  leave(key: LimitedKey): void {
    this.#pots.settle(this.#placePot(`key:${key.id}`, this.#settings.concurrentPerKey), 1);
    this.#pots.settle(this.#accountPot(key), 1);
  }

  close(): void {
    this.#ticker.cancel();
    for (const rate of this.#hot) this.#giveBack(rate);
  }

  #enterAccount(
    key: LimitedKey,
    own: Pot,
    account: Pot,
    taken: number | 'unavailable',
  ): PlaceVerdict | Promise<PlaceVerdict> {
    if (taken !== 1) return this.#verdict(key, own, account, 'key');
    const finish = (second: number | 'unavailable'): PlaceVerdict => {
      if (second === 1) return this.#verdict(key, own, account, undefined);
      this.#pots.settle(own, 1);
      return this.#verdict(key, own, account, 'account');
    };
    const second = this.#pots.take(account, 1);
    return typeof second === 'number' ? finish(second) : second.then(finish);
  }

  #verdict(key: LimitedKey, own: Pot, account: Pot, full: 'key' | 'account' | undefined): PlaceVerdict {
    return placeVerdict(this.#settings, accountPlaces(key, this.#settings, this.#tiers), {
      allowed: full === undefined,
      ofKey: full === 'key' ? 0 : (this.#pots.left(own) ?? 0),
      ofAccount: full === 'account' ? 0 : (this.#pots.left(account) ?? 0),
    });
  }

  #accountPot(key: LimitedKey): Pot {
    return this.#placePot(`account:${key.ownerId}`, accountPlaces(key, this.#settings, this.#tiers).places);
  }

  #placePot(name: string, size: number): Pot {
    const known = this.#places.get(name);
    if (known?.size === size) return known;
    const pot = { name: `places:${name}`, size };
    this.#places.set(name, pot);
    return pot;
  }

  async #ask(key: LimitedKey, category: Category, rate: Rate): Promise<void> {
    rate.asking = true;
    while (rate.waiting.length > 0) {
      const pace = Math.max(rate.recent, rate.before);
      const ahead = pace > HOT_FROM ? Math.min(AHEAD_MAX, Math.floor(pace / 4)) : 0;
      const waiting = rate.waiting.splice(0);
      const wanted = waiting.length;
      const nowMs = this.#timeOf(rate.usedAtMs);
      try {
        // oxlint-disable-next-line no-await-in-loop -- those who came meanwhile are asked for together.
        const answer = await takeFromBuckets(this.#line, rate.buckets, { wanted, ahead, nowMs });
        this.#share(rate, waiting, answer);
      } catch {
        for (const resolve of waiting) resolve(this.#takeAlone(key, category, rate.usedAtMs));
      }
    }
    rate.asking = false;
  }

  /** Hands out what was taken, first come first served; whoever is left over is told what refused. */
  #share(rate: Rate, waiting: ((verdict: RateVerdict) => void)[], answer: RateAnswer): void {
    let left = answer.taken;
    const after = verdictOf(rate.checks, answer);
    const refused = after.allowed ? verdictOf(rate.checks, answer, false) : after;
    for (const resolve of waiting) {
      if (left > 0) {
        left -= 1;
        resolve({ ...after, remaining: after.remaining + left });
      } else resolve(refused);
    }
    rate.last = after.allowed ? after : undefined;
    rate.ready = after.allowed ? rate.ready + left : 0;
    if (rate.ready > 0) this.#hot.add(rate);
  }

  #takeAlone(key: LimitedKey, category: Category, nowMs: number): RateVerdict {
    this.#alone ??= new MemoryLimits(this.#settings, this.#tiers, {
      parts: this.#line.place.of,
      empty: true,
    });
    return this.#alone.takeRequest(key, category, nowMs);
  }

  #rateOf(key: LimitedKey, category: Category): Rate {
    const known = this.#rates.get(key);
    const found = known?.[category];
    const tier = this.#tiers(tierOfPlan(key.plan));
    if (found?.tier === tier) return found;
    // The tier was changed: what was taken ahead by its old limits goes back.
    if (found) this.#giveBack(found);
    const checks = checksOf(key, category, this.#settings, tier);
    const rate: Rate = {
      tier,
      checks,
      buckets: checks.map((check) => ({
        name: `${check.whose}:${check.bucket}`,
        limit: check.limit,
        periodMs: check.periodMs,
      })),
      ready: 0,
      last: undefined,
      recent: 0,
      before: 0,
      sinceMs: Number.NEGATIVE_INFINITY,
      usedAtMs: 0,
      waiting: [],
      asking: false,
    };
    if (known) known[category] = rate;
    else this.#rates.set(key, { [category]: rate });
    return rate;
  }

  #giveBack(rate: Rate): void {
    this.#hot.delete(rate);
    if (rate.ready === 0) return;
    giveToBuckets(this.#line, rate.buckets, { count: rate.ready, nowMs: this.#timeOf(this.#clock.nowMs()) });
    rate.ready = 0;
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    for (const rate of this.#hot) if (nowMs - rate.usedAtMs > HOT_MS) this.#giveBack(rate);
  }
}

/** How a key's requests of a category are counted, with those that were taken ahead. */
interface Rate {
  /** By whose limits. */
  readonly tier: Tier;
  readonly checks: readonly Check[];
  readonly buckets: readonly Bucket[];
  ready: number;
  last: RateVerdict | undefined;
  recent: number;
  before: number;
  sinceMs: number;
  usedAtMs: number;
  waiting: ((verdict: RateVerdict) => void)[];
  asking: boolean;
}

const TICK_MS = 500;
const HOT_MS = 1_000;
/** Requests in a second from which on some are taken ahead. */
const HOT_FROM = 20;
const AHEAD_MAX = 64;
