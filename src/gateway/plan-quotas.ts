import { type Cover, NO_COVER } from '#domain/cover.ts';
import type { Model } from '#domain/model.ts';
import type { Pico } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import { type Plan, planOf } from '#domain/plan.ts';
import type { Price } from '#domain/price.ts';
import { dayOf, dayStart, weekOf, weekStart } from '#domain/window.ts';
import type { Purse } from '#funds/plan-purses.ts';
import type { Clock } from '#kit/clock.ts';

/**
 * What the plans of consumers still cover: tokens in the week, images in the day (UTC). A request reserves of its consumer's
 * quota the most that it can use, before it is sent anywhere, and gives back what it did not use. So however many requests
 * run at once, a quota covers no token twice: covered in the window + reserved ≤ quota, at every reservation. A request that
 * reaches over the border is covered up to it, to the token, and pays for the rest.
 *
 * A second bound is money: of a paid period a plan covers no more than its purse holds (`funds/plan-purses.ts`), which is
 * reserved by the dearest that each covered token can cost. A period that was not paid for covers nothing.
 *
 * A reservation that was made before the week ends stays reserved across it, so it can overrun neither week. What was used
 * before this process began is read from the usage list at its start. `MemoryQuotas` is the memory of one process; several
 * gateways share theirs behind the same face (`shared-quotas.ts`).
 */
export interface Quotas {
  reserve(key: KeyRecord, model: Model, most: { tokens: number; units: number }): Cover | Promise<Cover>;
  /** Ends a reservation with what was used of it, and what that came to. */
  settle(consumerId: string, reserved: Cover, used: Cover, worth: Pico): void;
  /** What a plan covers for a consumer yet, with what running requests may still give back; null: no quota. */
  left(consumerId: string, plan: Plan): QuotasLeft | Promise<QuotasLeft>;
}

export interface QuotasLeft {
  readonly tokens: number | null;
  readonly images: number | null;
  readonly usd: Pico | null;
}

/** What was covered, by consumer, in the week and the day that hold an instant. */
export type ReadCovered = (window: {
  readonly weekSince: number;
  readonly daySince: number;
}) => Promise<ReadonlyMap<string, Cover>>;

interface Used {
  week: number;
  day: number;
  tokens: number;
  images: number;
  reservedTokens: number;
  reservedImages: number;
}

/** The purse of the period that a consumer has paid for (`funds/plan-purses.ts`). */
export interface Purses {
  of(consumerId: string): Purse | undefined;
}

export class MemoryQuotas implements Quotas {
  readonly #clock: Clock;
  readonly #purses: Purses;
  readonly #used = new Map<string, Used>();
  /** What each reservation took of which purse. */
  readonly #pledged = new WeakMap<Cover, { purse: Purse; worth: Pico }>();

  /** Reads what was covered in the week and the day that run. Throws when that cannot be read. */
  static async open(parts: { clock: Clock; purses: Purses; read: ReadCovered }): Promise<MemoryQuotas> {
    const quotas = new MemoryQuotas(parts.clock, parts.purses);
    const now = parts.clock.wallMs();
    const covered = await parts.read({ weekSince: weekStart(weekOf(now)), daySince: dayStart(dayOf(now)) });
    for (const [consumerId, { tokens, units }] of covered) {
      const used = quotas.#of(consumerId, now);
      used.tokens += tokens;
      used.images += units;
    }
    return quotas;
  }

  private constructor(clock: Clock, purses: Purses) {
    this.#clock = clock;
    this.#purses = purses;
  }

  reserve(key: KeyRecord, model: Model, most: { tokens: number; units: number }): Cover {
    if (key.plan === undefined) return NO_COVER;
    const plan = planOf(key.plan);
    if (!plan.coveredTiers.includes(model.tier ?? '')) return NO_COVER;
    const purse = this.#purses.of(key.ownerId);
    if (!purse) return NO_COVER;
    const left = this.left(key.ownerId, plan);
    const dearest = dearestOf(model.price);
    const affordable = times(purse.most - purse.spent - purse.reserved, dearest);
    const byToken = model.price.unit === 'token';
    const tokens = byToken ? Math.min(most.tokens, left.tokens ?? 0, affordable) : 0;
    const units = model.category === 'image' ? Math.min(most.units, left.images ?? 0, affordable) : 0;
    if (tokens + units === 0) return NO_COVER;
    const used = this.#of(key.ownerId, this.#clock.wallMs());
    used.reservedTokens += tokens;
    used.reservedImages += units;
    const cover = { tokens, units };
    const worth = dearest * BigInt(tokens + units);
    purse.reserved += worth;
    this.#pledged.set(cover, { purse, worth });
    return cover;
  }

  settle(consumerId: string, reserved: Cover, took: Cover, worth: Pico): void {
    if (reserved === NO_COVER) return;
    const pledged = this.#pledged.get(reserved);
    if (pledged) {
      pledged.purse.reserved -= pledged.worth;
      pledged.purse.spent += worth;
    }
    const used = this.#of(consumerId, this.#clock.wallMs());
    used.reservedTokens -= reserved.tokens;
    used.reservedImages -= reserved.units;
    used.tokens += took.tokens;
    used.images += took.units;
  }

  left(consumerId: string, plan: Plan): QuotasLeft {
    const used = this.#of(consumerId, this.#clock.wallMs());
    const { tokensPerWeek, imagesPerDay, coveredTiers } = plan;
    if (coveredTiers.length === 0) return { tokens: null, images: null, usd: null };
    const purse = this.#purses.of(consumerId);
    return {
      tokens: tokensPerWeek === null ? null : Math.max(0, tokensPerWeek - used.tokens - used.reservedTokens),
      images: imagesPerDay === null ? null : Math.max(0, imagesPerDay - used.images - used.reservedImages),
      usd: purse ? atLeastNone(purse.most - purse.spent - purse.reserved) : 0n,
    };
  }

  #of(consumerId: string, now: number): Used {
    const [week, day] = [weekOf(now), dayOf(now)];
    let used = this.#used.get(consumerId);
    if (!used) {
      used = { week, day, tokens: 0, images: 0, reservedTokens: 0, reservedImages: 0 };
      this.#used.set(consumerId, used);
    }
    // A clock that was set back stays in the later window: a quota is never given twice.
    if (week > used.week) {
      used.week = week;
      used.tokens = 0;
    }
    if (day > used.day) {
      used.day = day;
      used.images = 0;
    }
    return used;
  }
}

/** The most that one token or piece can cost. A model has a price by the one or by the other. */
export function dearestOf(price: Price): Pico {
  if (price.unit !== 'token') return price.requestPico;
  return price.inputPico > price.outputPico ? price.inputPico : price.outputPico;
}

/** How often `each` fits into `room`. */
function times(room: Pico, each: Pico): number {
  if (each === 0n) return Number.MAX_SAFE_INTEGER;
  return room <= 0n ? 0 : Number(room / each);
}

function atLeastNone(amount: Pico): Pico {
  return amount > 0n ? amount : 0n;
}
