import { type Cover, NO_COVER } from '#domain/cover.ts';
import type { Model } from '#domain/model.ts';
import type { Pico } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import { type Plan, planOf } from '#domain/plan.ts';
import { dayOf, dayStart, weekOf, weekStart } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Pot, Pots } from '#shared/pots.ts';
import { dearestOf, type Purses, type Quotas, type QuotasLeft } from './plan-quotas.ts';

/**
 * Quotas of plans that several gateways keep together: a pot (`#shared/pots.ts`) for the tokens of each consumer's week,
 * one for the images of its day, and one for the purse of its paid period. As in `MemoryQuotas`, covered in a window +
 * reserved ≤ quota, and worth ≤ purse, over all gateways; a request that may end in another window reserves in both.
 *
 * While Redis is away, a plan covers what this gateway has leased; the rest is paid from the balance.
 */
export class SharedQuotas implements Quotas {
  readonly #clock: Clock;
  readonly #purses: Purses;
  readonly #pots: Pots;
  readonly #read: ReadCoveredByInstance;
  readonly #startedAt: number;
  readonly #requestMsMax: number;
  readonly #taken = new WeakMap<Cover, Takings>();

  constructor(parts: {
    clock: Clock;
    purses: Purses;
    pots: Pots;
    read: ReadCoveredByInstance;
    /** The longest that a request can take. */
    requestMsMax: number;
  }) {
    this.#clock = parts.clock;
    this.#purses = parts.purses;
    this.#pots = parts.pots;
    this.#read = parts.read;
    this.#startedAt = parts.clock.wallMs();
    this.#requestMsMax = parts.requestMsMax;
  }

  reserve(key: KeyRecord, model: Model, most: { tokens: number; units: number }): Cover | Promise<Cover> {
    if (key.plan === undefined) return NO_COVER;
    const plan = planOf(key.plan);
    if (!plan.coveredTiers.includes(model.tier ?? '')) return NO_COVER;
    const purse = this.#pursePot(key.ownerId);
    if (!purse) return NO_COVER;
    const byToken = model.price.unit === 'token';
    const asked = byToken ? most.tokens : model.category === 'image' ? most.units : 0;
    if (asked <= 0) return NO_COVER;
    return this.#take(key.ownerId, { plan, byToken, asked, purse, each: dearestOf(model.price) });
  }

  settle(_consumerId: string, reserved: Cover, used: Cover, worth: Pico): void {
    const takings = this.#taken.get(reserved);
    if (!takings) return;
    this.#taken.delete(reserved);
    const { pots, count, purse, nano, byToken, consumerId } = takings;
    const current = this.#windowName(consumerId, byToken, this.#clock.wallMs());
    for (const pot of pots) {
      const spent = pot.name === current ? used.tokens + used.units : 0;
      this.#pots.settle(pot, count, Math.min(count, spent));
    }
    this.#pots.settle(purse, nano, Math.min(nano, nanoUp(worth)));
  }

  async left(consumerId: string, plan: Plan): Promise<QuotasLeft> {
    if (plan.coveredTiers.length === 0) return { tokens: null, images: null, usd: null };
    const now = this.#clock.wallMs();
    const leftOf = async (pot: Pot | undefined): Promise<number | undefined> => {
      if (!pot) return undefined;
      await this.#pots.prepare(pot);
      return this.#pots.left(pot);
    };
    const [tokens, images, nano] = await Promise.all([
      leftOf(this.#windowPot(consumerId, plan, true, now)),
      leftOf(this.#windowPot(consumerId, plan, false, now)),
      leftOf(this.#pursePot(consumerId)),
    ]);
    return { tokens: tokens ?? null, images: images ?? null, usd: BigInt(nano ?? 0) * PICO_PER_NANO };
  }

  async #take(consumerId: string, wish: Wish): Promise<Cover> {
    const { plan, byToken, purse, each } = wish;
    const now = this.#clock.wallMs();
    const pots: Pot[] = [];
    for (const at of [now, now + this.#requestMsMax]) {
      const pot = this.#windowPot(consumerId, plan, byToken, at);
      if (pot && !pots.some(({ name }) => name === pot.name)) pots.push(pot);
    }
    // What each pot gave, and at last the purse; then what is more than the least of them goes back.
    const got: number[] = [];
    let count = wish.asked;
    for (const pot of pots) {
      // oxlint-disable-next-line no-await-in-loop -- of the second only what the first has.
      const taken = count === 0 ? 0 : await this.#pots.take(pot, 1, count);
      got.push(taken === 'unavailable' ? 0 : taken);
      count = Math.min(count, got.at(-1) ?? 0);
    }
    const wanted = nanoUp(each * BigInt(count));
    const paid = count === 0 ? 0 : await this.#pots.take(purse, Math.min(wanted, nanoUp(each)), wanted);
    const nano = paid === 'unavailable' ? 0 : paid;
    if (nano < wanted) count = Number((BigInt(nano) * PICO_PER_NANO) / each);
    for (const [i, pot] of pots.entries()) this.#pots.settle(pot, (got[i] ?? 0) - count);
    const kept = nanoUp(each * BigInt(count));
    this.#pots.settle(purse, nano - kept);
    if (count === 0) return NO_COVER;
    const cover = byToken ? { tokens: count, units: 0 } : { tokens: 0, units: count };
    this.#taken.set(cover, { consumerId, pots, count, purse, nano: kept, byToken });
    return cover;
  }

  #windowPot(consumerId: string, plan: Plan, byToken: boolean, at: number): Pot | undefined {
    const size = byToken ? plan.tokensPerWeek : plan.imagesPerDay;
    if (size === null) return undefined;
    const since = byToken ? weekStart(weekOf(at)) : dayStart(dayOf(at));
    const untilMs = byToken ? weekStart(weekOf(at) + 1) : dayStart(dayOf(at) + 1);
    return {
      name: this.#windowName(consumerId, byToken, at),
      size,
      keeps: { untilMs, read: () => this.#used(consumerId, since, byToken ? 'tokens' : 'units') },
    };
  }

  #windowName(consumerId: string, byToken: boolean, at: number): string {
    return byToken ? `tokens:${consumerId}:${weekOf(at)}` : `images:${consumerId}:${dayOf(at)}`;
  }

  #pursePot(consumerId: string): Pot | undefined {
    const purse = this.#purses.of(consumerId);
    return (
      purse && {
        name: `purse:${consumerId}:${purse.startsAt}`,
        size: Number(purse.most / PICO_PER_NANO),
        keeps: { untilMs: purse.endsAt, read: () => this.#used(consumerId, purse.startsAt, 'worth') },
      }
    );
  }

  async #used(
    consumerId: string,
    since: number,
    what: 'tokens' | 'units' | 'worth',
  ): Promise<ReadonlyMap<string, number>> {
    const found = await this.#read(consumerId, { since, ownBefore: this.#startedAt });
    return new Map([...found].map(([id, used]) => [id, what === 'worth' ? nanoUp(used.worth) : used[what]]));
  }
}

/** What a consumer's plan covered since an instant, by the gateway that served it; our own only before `ownBefore`. */
export type ReadCoveredByInstance = (
  consumerId: string,
  window: { readonly since: number; readonly ownBefore: number },
) => Promise<ReadonlyMap<string, { readonly tokens: number; readonly units: number; readonly worth: Pico }>>;

interface Wish {
  readonly plan: Plan;
  readonly byToken: boolean;
  readonly asked: number;
  readonly purse: Pot;
  /** The most that one of them costs. */
  readonly each: Pico;
}

interface Takings {
  readonly consumerId: string;
  readonly pots: readonly Pot[];
  readonly count: number;
  readonly purse: Pot;
  readonly nano: number;
  readonly byToken: boolean;
}

const PICO_PER_NANO = 1_000n;

function nanoUp(amount: Pico): number {
  return Number((amount + PICO_PER_NANO - 1n) / PICO_PER_NANO);
}
