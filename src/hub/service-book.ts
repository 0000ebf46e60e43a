import type { Clock } from '#kit/clock.ts';
import type { Randomness } from '#kit/random.ts';
import { beginAttempt, endAttempt, mayEvict } from '#routing/breaker.ts';
import type { Candidate } from '#routing/candidate.ts';
import { choose, whyEmpty } from '#routing/choose.ts';
import { fingerprintOf, LOSS_WITHIN_ANSWER, PoisonTable } from '#routing/poison.ts';
import { noteTokensPerSecond, noteTtft } from '#routing/score.ts';
import type { Strategy } from '#routing/strategies/strategy.ts';
import type { AttemptOutcome, Order, Outcomes, PickNext } from './dispatch.ts';

/** Beside the body, a message to an agent carries names and numbers. */
const MESSAGE_OVERHEAD_BYTES = 2_048;
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

  constructor(parts: {
    clock: Clock;
    random: Randomness;
    strategy: Strategy;
    candidates: (modelId: string) => Candidate[];
  }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#strategy = parts.strategy;
    this.#candidates = parts.candidates;
  }

  /** The best candidate for an order whose provider is not in `tried`, or why there is none. */
  readonly pick: PickNext = (order, tried) => {
    // Between two tries of a request, others like it may have shown what it does.
    if (tried.size > 0 && this.isQuarantined(order)) return { none: 'request-quarantined' };
    const plan = choose(
      { modelId: order.modelId, requestBytes: order.body.length + MESSAGE_OVERHEAD_BYTES },
      this.#candidates(order.modelId),
      {
        strategy: this.#strategy,
        nowMs: this.#clock.nowMs(),
        random: this.#random,
        ...(tried.size > 0 && { tried }),
      },
    );
    const [candidate] = plan.picks;
    return candidate ? { candidate } : { none: whyEmpty(plan) };
  };

  started(candidate: Candidate): boolean {
    return beginAttempt(candidate.breaker);
  }

  finished(candidate: Candidate, modelId: string, outcome: AttemptOutcome): void {
    const nowMs = this.#clock.nowMs();
    endAttempt(
      candidate.breaker,
      candidate.record,
      { trial: outcome.trial, judgement: outcome.judgement },
      { nowMs, random: this.#random, mayOpen: () => mayEvict(this.#candidates(modelId)) },
    );
    if (outcome.judgement !== 'served' || outcome.ttftMs === undefined) return;
    noteTtft(candidate.record, outcome.ttftMs);
    const generatingS = (outcome.durationMs - outcome.ttftMs) / 1000;
    if (outcome.tokens >= TOKENS_TO_TIME && generatingS > 0) {
      noteTokensPerSecond(candidate.record, outcome.tokens / generatingS);
    }
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
