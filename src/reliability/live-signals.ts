import { TIER_NAMES, type TierName } from '#domain/tier.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { Blame } from './minute-book.ts';
import type { Objectives, ObjectivesOf } from './objectives.ts';
import type { ComponentFigures } from './triggers.ts';

/**
 * The last five minutes of every component (a model, and a model in a region) in memory, from the same calls that the minutes
 * are counted from: what triggers are judged by, without a database. Serving pays a few additions; everything else is done
 * when somebody looks.
 */
const SLOT_MS = 10_000;
const SLOTS = 30;
const MINUTE_MS = 60_000;
/** How long back the usual number of providers is looked for. */
const USUAL_MINUTES = 60;
/** So many times to the first token are kept of a slot and tier; the p95 of more is no truer. */
const TIMES_MAX = 256;
/** Fewer times than this say nothing about being slow. */
const TIMES_MIN = 5;
/** Who was shed while it was full: counted as failed, it would keep the incident open that sheds it. */
const SHED = 'prompt-shed';

interface Slot {
  number: number;
  requests: number;
  failures: number;
  streams: number;
  disconnects: number;
  times: Map<TierName, number[]>;
}

/** Who could serve a component now. */
export interface PoolMember {
  readonly region: string;
  readonly providerId: string;
  readonly ready: boolean;
}

/** A component with what the rules are to judge, and by which tier's objectives. */
export interface ComponentLook {
  readonly modelId: string;
  /** `''`: everywhere. */
  readonly region: string;
  readonly figures: ComponentFigures;
  readonly objectives: Objectives;
}

export class LiveSignals {
  readonly #nowMs: () => number;
  readonly #blameOf: (code: string) => Blame;
  readonly #objectives: ObjectivesOf;
  readonly #models = new Map<string, Map<string, Component>>();

  /** `nowMs` is a monotonic clock; `blameOf` reads the error table. */
  constructor(parts: {
    nowMs: () => number;
    blameOf: (code: string) => Blame;
    objectives: ObjectivesOf;
  }) {
    this.#nowMs = parts.nowMs;
    this.#blameOf = parts.blameOf;
    this.#objectives = parts.objectives;
  }

  /** A request that was dispatched is over. */
  served(record: UsageRecord, { tier, region }: { tier: TierName; region: string | null }): void {
    const blame = record.errorCode === null ? undefined : this.#blameOf(record.errorCode);
    if (blame?.status === 429) return;
    const failed = blame?.spendsBudget ?? false;
    this.#of(record.modelId, '').served(this.#nowMs(), record, { tier, failed });
    if (region !== null && region !== '')
      this.#of(record.modelId, region).served(this.#nowMs(), record, { tier, failed });
  }

  /** A request was refused before anybody was asked. */
  refused({ modelId, code }: { modelId: string; code: string }): void {
    const { status, spendsBudget } = this.#blameOf(code);
    if (!spendsBudget || status === 429 || code === SHED) return;
    const slot = this.#of(modelId, '').slotAt(this.#nowMs());
    slot.requests += 1;
    slot.failures += 1;
  }

  /** A probe ended: through the public door (`region` is `''`), or a round straight to the candidates of a region. */
  probed({ modelId, region, ok }: { modelId: string; region: string; ok: boolean }): void {
    const component = this.#of(modelId, region);
    component.probesFailed = ok ? 0 : component.probesFailed + 1;
  }

  /** Components with an open incident of a life before: somebody served them, though nobody was seen to. */
  remember(modelId: string, region: string): void {
    this.#of(modelId, region).usualAtLeast = 1;
  }

  /** An operator says that it is over: whoever left is not expected back. */
  forget(modelId: string, region: string): void {
    this.#models.get(modelId)?.delete(region);
  }

  models(): string[] {
    return [...this.#models.keys()];
  }

  /**
   * What there is to judge of a model: everywhere, and each of its regions when it has more than one. Nothing of a model that
   * nobody served in the last hour: there is no service that could be missing.
   */
  look(modelId: string, pool: readonly PoolMember[]): ComponentLook[] {
    const nowMs = this.#nowMs();
    for (const region of new Set(pool.map((member) => member.region))) this.#of(modelId, region);
    this.#of(modelId, '');
    const components = this.#models.get(modelId) as Map<string, Component>;
    const looks: ComponentLook[] = [];
    const regions = [...components.keys()].filter((region) => region !== '');
    for (const [region, component] of components) {
      const ready = new Set(
        pool
          .filter((member) => member.ready && (region === '' || member.region === region))
          .map(({ providerId }) => providerId),
      ).size;
      component.notePool(nowMs, ready);
      if (region !== '' && regions.length < 2) continue;
      const { figures, objectives } = component.figures(nowMs, ready, this.#objectives);
      if (figures.usual > 0) looks.push({ modelId, region, figures, objectives });
    }
    return looks;
  }

  #of(modelId: string, region: string): Component {
    let regions = this.#models.get(modelId);
    if (!regions) {
      regions = new Map();
      this.#models.set(modelId, regions);
    }
    let component = regions.get(region);
    if (!component) {
      component = new Component();
      regions.set(region, component);
    }
    return component;
  }
}

/** The recent past of one component. */
class Component {
  probesFailed = 0;
  usualAtLeast = 0;
  readonly #slots: Slot[] = [];
  /** By minute: the most that could serve in it. */
  #ready: { minute: number; most: number }[] = [];
  #slowSinceMs: number | undefined;

  served(nowMs: number, record: UsageRecord, about: { tier: TierName; failed: boolean }): void {
    const slot = this.slotAt(nowMs);
    slot.requests += 1;
    if (about.failed) slot.failures += 1;
    if (record.streamed) slot.streams += 1;
    if (record.outcome === 'broken') slot.disconnects += 1;
    if (record.ttftMs === null) return;
    const times = slot.times.get(about.tier) ?? [];
    if (times.length === 0) slot.times.set(about.tier, times);
    if (times.length < TIMES_MAX) times.push(record.ttftMs);
  }

  slotAt(nowMs: number): Slot {
    const number = Math.floor(nowMs / SLOT_MS);
    const at = ((number % SLOTS) + SLOTS) % SLOTS;
    const held = this.#slots[at];
    if (held && held.number >= number) return held;
    const slot = { number, requests: 0, failures: 0, streams: 0, disconnects: 0, times: new Map() };
    this.#slots[at] = slot;
    return slot;
  }

  /** Nobody left for an hour is still missing: the usual number only fades while somebody serves. */
  notePool(nowMs: number, ready: number): void {
    const minute = Math.floor(nowMs / MINUTE_MS);
    const last = this.#ready.at(-1);
    if (last && last.minute === minute) last.most = Math.max(last.most, ready);
    else if (ready > 0 || !last) this.#ready.push({ minute, most: ready });
    if (ready === 0) return;
    this.usualAtLeast = 0;
    this.#ready = this.#ready.filter((each) => each.minute > minute - USUAL_MINUTES);
  }

  figures(
    nowMs: number,
    ready: number,
    objectivesOf: ObjectivesOf,
  ): { figures: ComponentFigures; objectives: Objectives } {
    const first = Math.floor(nowMs / SLOT_MS) - SLOTS + 1;
    const slots = this.#slots.filter((slot) => slot && slot.number >= first);
    const sum = (of: (slot: Slot) => number): number => slots.reduce((total, slot) => total + of(slot), 0);
    const { tier, p95, count } = slowestTier(slots, objectivesOf);
    const objectives = objectivesOf(tier);
    const slow = p95 !== null && count >= TIMES_MIN && p95 > objectives.ttftP95Ms;
    this.#slowSinceMs = slow ? (this.#slowSinceMs ?? nowMs) : undefined;
    return {
      objectives,
      figures: {
        probesFailed: this.probesFailed,
        requests: sum((slot) => slot.requests),
        failures: sum((slot) => slot.failures),
        streams: sum((slot) => slot.streams),
        disconnects: sum((slot) => slot.disconnects),
        ttftP95Ms: p95,
        ttftCount: count,
        slowForMs: this.#slowSinceMs === undefined ? 0 : nowMs - this.#slowSinceMs,
        ready,
        usual: Math.max(this.usualAtLeast, ...this.#ready.map(({ most }) => most)),
      },
    };
  }
}

/** Of the tiers with enough answers, the one that is furthest above its objective (or nearest to it). */
function slowestTier(
  slots: readonly Slot[],
  objectivesOf: ObjectivesOf,
): { tier: TierName; p95: number | null; count: number } {
  let worst: { tier: TierName; p95: number | null; count: number } = { tier: 'pro', p95: null, count: 0 };
  let share = 0;
  for (const tier of TIER_NAMES) {
    const times = slots.flatMap((slot) => slot.times.get(tier) ?? []).toSorted((a, b) => a - b);
    if (times.length < TIMES_MIN) continue;
    const p95 = times[Math.ceil(times.length * 0.95) - 1] as number;
    const above = p95 / objectivesOf(tier).ttftP95Ms;
    if (above <= share) continue;
    share = above;
    worst = { tier, p95: Math.round(p95), count: times.length };
  }
  return worst;
}
