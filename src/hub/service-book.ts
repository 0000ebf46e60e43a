import { createHash } from 'node:crypto';
import type { Model } from '#domain/model.ts';
import type { Clock } from '#kit/clock.ts';
import type { Randomness } from '#kit/random.ts';
import { beginAttempt, endAttempt, letTry, mayEvict, shutOut } from '#routing/breaker.ts';
import type { Candidate, Need } from '#routing/candidate.ts';
import { type Bias, type Choice, choose, isFallback, whyEmpty } from '#routing/choose.ts';
import { isOrdered, narrow, ranks, wishedRank } from '#routing/narrow.ts';
import { fingerprintOf, LOSS_WITHIN_ANSWER, PoisonTable } from '#routing/poison.ts';
import { noteTokensPerSecond, noteTtft } from '#routing/score.ts';
import { softRank } from '#routing/soft-rank.ts';
import { Stickiness } from '#routing/stickiness.ts';
import { byLatency, byPrice, byThroughput } from '#routing/strategies/measured.ts';
import type { Strategy } from '#routing/strategies/strategy.ts';
import type { Inquiry } from '#routing/why.ts';
import type { AttemptOutcome, Order, Outcomes, PickNext } from './dispatch.ts';

/** Beside the body, a message to an agent carries names and numbers. */
export const MESSAGE_OVERHEAD_BYTES = 2_048;
const STICKY_IDLE_MS = 600_000;
const CONVERSATIONS_MAX = 50_000;
const NO_RANK = (): number => 0;
const SORTED = { price: byPrice(), throughput: byThroughput(), latency: byLatency() } as const;
/** Fewer tokens say nothing about speed. */
const TOKENS_TO_TIME = 8;

/**
 * Where routing's pure rules meet the agents that are here: picks the next candidate of an order, and keeps circuits,
 * records and the table of poison requests current from how attempts end.
 */
export class ServiceBook implements Outcomes {
  readonly #clock: Clock;
  readonly #random: Randomness;
  readonly #strategy: Strategy;
  readonly #candidates: (modelId: string) => Candidate[];
  readonly #poison = new PoisonTable();
  /** A request's fingerprint is made once, if at all. */
  readonly #fingerprints = new WeakMap<Order, string>();
  readonly #region: string | undefined;
  readonly #asked: ((modelId: string) => void) | undefined;
  readonly #avoid: ServiceBookParts['avoid'];
  readonly #judged: ServiceBookParts['judged'];
  readonly #sticky: Stickiness;

  constructor(parts: ServiceBookParts) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#strategy = parts.strategy;
    this.#candidates = parts.candidates;
    this.#region = parts.region;
    this.#asked = parts.asked;
    this.#avoid = parts.avoid;
    this.#judged = parts.judged;
    this.#sticky = new Stickiness({
      idleMs: parts.stickyIdleMs ?? STICKY_IDLE_MS,
      sizeMax: CONVERSATIONS_MAX,
    });
  }

  /** The best candidate for an order whose provider is not in `tried`, or why there is none. */
  readonly pick: PickNext = (order, tried, last) => {
    // Between two tries of a request, others like it may have shown what it does.
    if (order.to !== undefined) return this.#pickOne(order, order.to, tried);
    if (tried.size === 0) this.#asked?.(order.modelId);
    else if (this.isQuarantined(order)) return { none: 'request-quarantined' };
    const { preferences, model } = order.wish ?? {};
    let candidates: readonly Candidate[] = this.#candidates(order.modelId);
    if (preferences && model) {
      // Without fallbacks and without an order of its own, a consumer wants the first choice or nobody.
      if (!preferences.allowFallbacks && preferences.order.length === 0 && tried.size > 0)
        return { none: 'provider-failed' };
      const narrowed = narrow(candidates, preferences, {
        price: model.price,
        priceFactor: order.priceFactor,
        parameters: order.wish?.parameters ?? [],
      });
      if ('emptiedBy' in narrowed) return { none: 'preferences-unmet', filter: narrowed.emptiedBy };
      ({ candidates } = narrowed);
    }
    const nowMs = this.#clock.nowMs();
    // With one candidate there is nothing to prefer.
    const conversation = candidates.length > 1 ? conversationKey(order) : undefined;
    const bias = candidates.length > 1 ? this.#biasOf(order, conversation, nowMs) : undefined;
    const need: Need = {
      modelId: order.modelId,
      operations: order.needs,
      requestBytes: messageBytes(order),
      price: order.price,
      agentsOnly: order.agentsOnly,
      ...(order.gather &&
        tried.size === 0 && {
          gather: { key: order.gather.key, inputs: order.gather.inputs.length, bytes: order.body.length },
        }),
    };
    const choice: Choice = {
      strategy: preferences?.sort ? SORTED[preferences.sort] : this.#strategy,
      nowMs,
      random: this.#random,
      ...(tried.size > 0 && { tried }),
      ...(bias && { bias }),
    };
    // Who lost a link to this very request is asked again only when nobody else is left.
    const losers = this.#poison.empty ? undefined : this.#poison.losers(this.#fingerprintOf(order), nowMs);
    const cautious = losers?.size ? { ...choice, excluded: losers } : choice;
    let plan = choose(need, candidates, cautious);
    if (losers?.size && plan.picks.length === 0) plan = choose(need, candidates, choice);
    let [candidate] = plan.picks;
    if (!candidate)
      return { none: whyEmpty(plan), agentsOnly: plan.rejected['plan-without-fallback'] !== undefined };
    // Agents that fail one after the other must not use up every try before the fallback is asked.
    if (last && candidate.mode !== 'external' && !(preferences && isOrdered(candidate, preferences)))
      candidate = choose(need, candidates.filter(isFallback), cautious).picks[0] ?? candidate;
    if (conversation !== undefined) this.#sticky.note(conversation, candidate.nodeId, nowMs);
    return { candidate };
  };

  /** The candidate that an order is meant for, and nobody else: no second try, and no circuit is a reason. */
  #pickOne(order: Order, id: string, tried: ReadonlySet<string>): ReturnType<PickNext> {
    if (tried.size > 0) return { none: 'provider-failed' };
    const candidate = this.#candidates(order.modelId).find((each) => each.id === id);
    if (!candidate) return { none: 'model-without-provider' };
    const need: Need = {
      modelId: order.modelId,
      operations: order.needs,
      requestBytes: messageBytes(order),
      price: order.price,
    };
    const plan = choose(need, [candidate], {
      strategy: this.#strategy,
      nowMs: this.#clock.nowMs(),
      random: this.#random,
    });
    return plan.picks[0] ? { candidate: plan.picks[0] } : { none: whyEmpty(plan) };
  }

  /** What to ask of routing about a provider and a usual request for a model (`routing/why.ts`), as everything stands now. */
  inquiry(providerId: string, model: Model, need: Omit<Need, 'price' | 'modelId'>): Inquiry {
    const candidates = this.#candidates(model.id);
    const { canary, price } = model;
    const isBiased = candidates.length > 1 && (this.#region !== undefined || canary !== null);
    return {
      providerId,
      need: { ...need, modelId: model.id, price },
      candidates,
      strategy: this.#strategy,
      bias: isBiased
        ? {
            wished: NO_RANK,
            soft: softRank({
              region: this.#region,
              // As most requests have it.
              canary: canary ? { version: canary.version, leads: canary.share > 0.5 } : undefined,
            }),
            warmNodeId: undefined,
          }
        : undefined,
      listed: price,
      nowMs: this.#clock.nowMs(),
    };
  }

  /** Who goes before whom, beyond the strategy; undefined when nobody does. */
  #biasOf(order: Order, conversation: string | undefined, nowMs: number): Bias | undefined {
    const { preferences, model } = order.wish ?? {};
    // A consumer who sorts wants that order, not the house's.
    const sorted = preferences?.sort !== undefined;
    const avoid = sorted ? undefined : this.#avoid?.(order.modelId);
    const avoids = avoid !== undefined && avoid.length > 0;
    const warmNodeId =
      conversation === undefined || sorted || avoids ? undefined : this.#sticky.nodeOf(conversation, nowMs);
    const region = sorted ? undefined : this.#region;
    const canary = model?.canary;
    const wishes = preferences !== undefined && ranks(preferences);
    if (warmNodeId === undefined && region === undefined && !canary && !wishes && !avoids) return undefined;
    return {
      wished: wishes ? (candidate) => wishedRank(candidate, preferences) : NO_RANK,
      soft: softRank({
        region,
        avoid,
        canary: canary ? { version: canary.version, leads: this.#random.float() < canary.share } : undefined,
      }),
      warmNodeId,
    };
  }

  started(candidate: Candidate): boolean {
    return beginAttempt(candidate.breaker);
  }

  finished(candidate: Candidate, modelId: string, outcome: AttemptOutcome): void {
    const nowMs = this.#clock.nowMs();
    if (outcome.judgement !== 'neutral')
      this.#judged?.(candidate.providerId, modelId, outcome.judgement === 'served');
    endAttempt(
      candidate.breaker,
      candidate.record,
      { trial: outcome.trial, judgement: outcome.judgement },
      { nowMs, random: this.#random, mayOpen: () => mayEvict(this.#candidates(modelId), candidate) },
    );
    if (outcome.judgement !== 'served' || outcome.ttftMs === undefined) return;
    noteTtft(candidate.record, outcome.ttftMs);
    const generatingS = (outcome.durationMs - outcome.ttftMs) / 1000;
    if (outcome.tokens >= TOKENS_TO_TIME && generatingS > 0) {
      noteTokensPerSecond(candidate.record, outcome.tokens / generatingS);
    }
  }

  /** A node could not warm a model up: as bad a sign as a request that failed there. */
  warmUpFailed(candidate: Candidate, modelId: string): void {
    this.finished(candidate, modelId, {
      trial: false,
      judgement: 'failed',
      ttftMs: undefined,
      durationMs: 0,
      tokens: 0,
    });
  }

  /** Probes found that a candidate cannot be relied on: its circuit opens, if the cap on evictions allows it. */
  shutOut(candidate: Candidate, modelId: string): void {
    shutOut(candidate.breaker, {
      nowMs: this.#clock.nowMs(),
      random: this.#random,
      mayOpen: () => mayEvict(this.#candidates(modelId), candidate),
    });
  }

  /** A probe of it at another gateway went well. */
  passed(candidate: Candidate): void {
    letTry(candidate.breaker);
  }

  linkLost(order: Order, providerId: string, begun: boolean): boolean {
    const fingerprint = this.#fingerprintOf(order);
    const nowMs = this.#clock.nowMs();
    this.#poison.note(fingerprint, nowMs, providerId, begun ? LOSS_WITHIN_ANSWER : 1);
    return this.#poison.isQuarantined(fingerprint, nowMs);
  }

  answered(order: Order): void {
    if (!this.#poison.empty) this.#poison.clear(this.#fingerprintOf(order));
  }

  /** Did this very request disconnect several providers lately? Costs nothing while no link was lost. */
  isQuarantined(order: Order): boolean {
    return !this.#poison.empty && this.#poison.isQuarantined(this.#fingerprintOf(order), this.#clock.nowMs());
  }

  #fingerprintOf(order: Order): string {
    let fingerprint = this.#fingerprints.get(order);
    if (fingerprint === undefined) {
      fingerprint = fingerprintOf(order.consumerId, order.modelId, order.body);
      this.#fingerprints.set(order, fingerprint);
    }
    return fingerprint;
  }
}

export interface ServiceBookParts {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly strategy: Strategy;
  readonly candidates: (modelId: string) => Candidate[];
  /** Where this process is, as providers' regions are named; undefined: nowhere in particular. */
  readonly region?: string | undefined;
  /** The regions of a model that are left alone as long as another can serve. */
  readonly avoid?: ((modelId: string) => readonly string[]) | undefined;
  /** Hears of every model that is asked for. */
  readonly asked?: ((modelId: string) => void) | undefined;
  /** Hears of every attempt that says something about whoever made it. */
  readonly judged?: ((providerId: string, modelId: string, served: boolean) => void) | undefined;
  /** How long a conversation keeps its node. Default 10 minutes. */
  readonly stickyIdleMs?: number;
}

/** The largest that the message to an agent can be. To a Swan agent a recording travels in base64. */
function messageBytes(order: Order): number {
  const { body, operation } = order;
  return (
    MESSAGE_OVERHEAD_BYTES + (operation === 'audio/transcriptions' ? base64Bytes(body.length) : body.length)
  );
}

function base64Bytes(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/**
 * The conversation of an order as the table knows it: hashed, since prompts are kept nowhere, and together with the
 * consumer and the model, so that nobody shares another's.
 */
function conversationKey({ consumerId, modelId, wish }: Order): string | undefined {
  const conversation = wish?.conversation;
  if (conversation === undefined) return undefined;
  return createHash('sha1').update(`${consumerId}\0${modelId}\0${conversation}`).digest('base64');
}
