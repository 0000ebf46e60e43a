import type { TierName } from '#domain/tier.ts';
import { type BurnAlert, burnAlerts, FAILURES_MIN_OF_GROUP, type WindowCounts } from './burn-alerts.ts';
import type { Blame } from './minute-book.ts';
import type { ObjectivesOf } from './objectives.ts';
import { RecentCounts } from './recent-counts.ts';

/** Whose error budget: a tier's, a model's for a tier (everywhere or in one region), or that of one consumer. */
export interface BurnGroup {
  readonly tier: TierName;
  /** `''`: all models. */
  readonly modelId: string;
  /** `''`: everywhere. */
  readonly region: string;
  /** `''`: everybody. */
  readonly consumerId: string;
}

/** An error budget that burns, and whose. */
export interface GroupAlert extends BurnAlert, BurnGroup {
  /** Of a consumer: the model that failed it last; else as `modelId`. */
  readonly lastFailed: string;
}

/** One request that ended. */
export interface BurnNote {
  readonly tier: TierName;
  readonly code: string | null;
  readonly modelId: string;
  /** Of who served it; null or `''` where nobody did, or nobody knows. */
  readonly region?: string | null;
  readonly consumerId: string;
}

/**
 * Three days of requests and failures, for the rules of `burn-alerts.ts`: of each tier; of each model and each of its regions,
 * by tier; and of each consumer with a contract, against what was contracted.
 *
 * The sets are bounded. When one is full, a newcomer takes the place of a group that nobody asked for in an hour; where there
 * is none it is not watched by itself, and that is counted and can be told (`takeDropped`). The tiers count everything.
 */
export class BurnWatch {
  readonly #nowMs: () => number;
  readonly #blameOf: (code: string) => Blame;
  readonly #objectives: ObjectivesOf;
  readonly #tiers = new Map<TierName, RecentCounts>();
  readonly #components: GroupSet;
  readonly #consumers: GroupSet;
  #contracts: ReadonlyMap<string, number> = new Map();

  constructor(parts: {
    nowMs: () => number;
    blameOf: (code: string) => Blame;
    objectives: ObjectivesOf;
    most?: { readonly components: number; readonly consumers: number };
  }) {
    this.#nowMs = parts.nowMs;
    this.#blameOf = parts.blameOf;
    this.#objectives = parts.objectives;
    const { components, consumers } = parts.most ?? GROUPS_MAX;
    this.#components = new GroupSet(components);
    this.#consumers = new GroupSet(consumers);
  }

  /** Who has a contract, and the share of its requests that must succeed. Others are no longer watched by themselves. */
  contracted(contracts: ReadonlyMap<string, number>): void {
    this.#contracts = contracts;
    this.#consumers.keep((consumerId) => contracts.has(consumerId));
  }

  /** A request ended: with a code of the error table, or well. */
  note({ tier, code, modelId, region, consumerId }: BurnNote): void {
    const blame = code === null ? undefined : this.#blameOf(code);
    // A mistake of the caller's says nothing of the service, and what is too much is counted apart.
    if (blame && !blame.spendsBudget && blame.status >= 400 && blame.status < 500) return;
    const nowMs = this.#nowMs();
    const allowed = 1 - this.#objectives(tier).availability;
    const counts = { requests: 1, failures: blame?.spendsBudget ? 1 : 0, allowed };
    let ofTier = this.#tiers.get(tier);
    if (!ofTier) {
      ofTier = new RecentCounts({ slotS: 30, spanS: 3 * 86_400 });
      this.#tiers.set(tier, ofTier);
    }
    ofTier.add(nowMs, counts);
    const everywhere = { tier, modelId, region: '', consumerId: '' };
    this.#components.add(nowMs, `${tier}\n${modelId}`, everywhere, { ...counts, modelId });
    if (region)
      this.#components.add(
        nowMs,
        `${tier}\n${modelId}\n${region}`,
        { ...everywhere, region },
        { ...counts, modelId },
      );
    const contracted = this.#contracts.get(consumerId);
    if (contracted === undefined) return;
    const group = { tier, modelId: '', region: '', consumerId };
    this.#consumers.add(nowMs, consumerId, group, { ...counts, allowed: 1 - contracted, modelId });
  }

  /** What burns: tiers first, then models, then consumers. */
  alerts(): GroupAlert[] {
    const nowMs = this.#nowMs();
    const ofTiers = [...this.#tiers].flatMap(([tier, counts]) =>
      burnAlerts((seconds) => counts.over(nowMs, seconds)).map((alert) => ({
        ...alert,
        tier,
        modelId: '',
        region: '',
        consumerId: '',
        lastFailed: '',
      })),
    );
    return [...ofTiers, ...this.#components.alerts(nowMs), ...this.#consumers.alerts(nowMs)];
  }

  /** How many groups are watched, and how many requests were of none since the start. */
  sizes(): { kind: 'component' | 'consumer'; watched: number; dropped: number }[] {
    return [
      { kind: 'component', watched: this.#components.size, dropped: this.#components.dropped },
      { kind: 'consumer', watched: this.#consumers.size, dropped: this.#consumers.dropped },
    ];
  }

  /** Some groups that found no place since this was asked last. */
  takeDropped(): BurnGroup[] {
    return [...this.#components.takeDropped(), ...this.#consumers.takeDropped()];
  }
}

/** About 13 kB each. */
const GROUPS_MAX = { components: 400, consumers: 200 } as const;
const IDLE_MS = 3_600_000;
/** How often a full set looks for one that is idle. */
const ROOM_EVERY_MS = 60_000;
const TOLD_MAX = 5;

interface Watched {
  readonly group: BurnGroup;
  readonly counts: GroupCounts;
  lastMs: number;
  lastFailed: string;
}

/** Counts of so many groups at most. */
class GroupSet {
  dropped = 0;
  readonly #most: number;
  readonly #groups = new Map<string, Watched>();
  #untold: BurnGroup[] = [];
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#groups.size;
  }

  add(
    nowMs: number,
    key: string,
    group: BurnGroup,
    counts: { requests: number; failures: number; allowed: number; modelId: string },
  ): void {
    let watched = this.#groups.get(key);
    if (!watched) {
      if (this.#groups.size >= this.#most && !this.#makeRoom(nowMs)) {
        this.dropped += 1;
        if (this.#untold.length < TOLD_MAX) this.#untold.push(group);
        return;
      }
      watched = { group, counts: new GroupCounts(), lastMs: nowMs, lastFailed: '' };
      this.#groups.set(key, watched);
    }
    watched.lastMs = nowMs;
    if (counts.failures > 0) watched.lastFailed = counts.modelId;
    watched.counts.add(nowMs, counts);
  }

  keep(wanted: (key: string) => boolean): void {
    for (const key of this.#groups.keys()) if (!wanted(key)) this.#groups.delete(key);
  }

  *alerts(nowMs: number): Generator<GroupAlert> {
    for (const { group, counts, lastFailed } of this.#groups.values())
      for (const alert of burnAlerts((seconds) => counts.over(nowMs, seconds), FAILURES_MIN_OF_GROUP))
        yield { ...alert, ...group, lastFailed };
  }

  takeDropped(): BurnGroup[] {
    const told = this.#untold;
    this.#untold = [];
    return told;
  }

  #makeRoom(nowMs: number): boolean {
    if (nowMs - this.#lookedMs < ROOM_EVERY_MS) return false;
    this.#lookedMs = nowMs;
    for (const [key, { lastMs }] of this.#groups) if (nowMs - lastMs >= IDLE_MS) this.#groups.delete(key);
    return this.#groups.size < this.#most;
  }
}

/** An hour in half minutes and three days in ten minutes: what each rule needs, at a twentieth of the room. */
export class GroupCounts {
  readonly #fine = new RecentCounts({ slotS: 30, spanS: 3_600 });
  readonly #coarse = new RecentCounts({ slotS: 600, spanS: 3 * 86_400 });

  add(nowMs: number, counts: { requests: number; failures: number; allowed: number }): void {
    this.#fine.add(nowMs, counts);
    this.#coarse.add(nowMs, counts);
  }

  over(nowMs: number, seconds: number): WindowCounts {
    return (seconds <= 3_600 ? this.#fine : this.#coarse).over(nowMs, seconds);
  }
}
