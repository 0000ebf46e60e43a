import type { Model } from '#domain/model.ts';
import type { Operation, OperationSet } from '#domain/operation.ts';
import type { Preferences } from '#domain/preferences.ts';
import type { Price } from '#domain/price.ts';
import type { Try, TryResult } from '#domain/serving.ts';
import { type Trace, traceparentOf } from '#domain/trace.ts';
import type { Usage } from '#domain/usage.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { backoffMs, type RetryBudget } from '#kit/retry.ts';
import { type Judgement, judgement } from '#routing/breaker.ts';
import type { Candidate } from '#routing/candidate.ts';
import type { Filter } from '#routing/narrow.ts';
import { saysSomething } from './answer.ts';
import type { Answer, Attempt, AttemptEnd, Expected, Gather, Link } from './link.ts';
import { Roster } from './roster.ts';

/**
 * Walks a request over candidates until one of them answers.
 *
 * A try is an *attempt* with an id of its own. As long as nothing of an answer has reached the consumer, a failed
 * attempt is followed by another on a different provider, at most `retriesMax` times, after a jittered pause and within
 * the retry budget. From the first content on there is no second try: an answer is never spliced from two attempts, so
 * what the consumer holds is always a prefix of exactly one.
 *
 * What an attempt teaches about its candidate is reported through `Outcomes`; what it means for money is the
 * caller's business, who learns everything from the one `ended` call.
 *
 * Deadlines are kept by one coarse timer over all runs (a timer per request and phase would cost more than the request).
 */
export class Dispatcher {
  readonly #parts: DispatchParts;
  readonly #settings: DispatchSettings;
  readonly #active = new Roster<Run>();
  readonly #wheel: Timer;

  constructor(parts: DispatchParts, settings: DispatchSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#wheel = parts.clock.every(settings.wheelMs, () => this.#checkDeadlines());
  }

  /** Requests under way. */
  get active(): number {
    return this.#active.members.length;
  }

  /**
   * Starts with the candidate that was chosen when the request was admitted. `sink` hears of everything after this call has returned, never from within it. The answer lets the caller
   * cancel (the consumer left) and pass on credit (the consumer took bytes).
   */
  run(order: Order, first: Candidate, sink: DispatchSink): Run {
    const run = new Run(this.#parts, this.#settings, order, sink, this.#active);
    run.begin(first);
    return run;
  }

  /** Stops everything that still runs; each sink hears its end. */
  close(): void {
    this.#wheel.cancel();
    for (const run of this.#active.members.slice()) run.giveUp('shutting-down');
  }

  #checkDeadlines(): void {
    const nowMs = this.#parts.clock.nowMs();
    // Backwards: a run that ends here is replaced by the last one, which was looked at already.
    const { members } = this.#active;
    for (let i = members.length - 1; i >= 0; i--) members[i]?.checkDeadlines(nowMs);
  }
}

export interface DispatchParts {
  readonly clock: Clock;
  readonly ids: IdMaker;
  readonly random: Randomness;
  readonly log: Logger;
  readonly retryBudget: RetryBudget;
  readonly pick: PickNext;
  readonly linkOf: (candidate: Candidate) => Link | undefined;
  readonly outcomes: Outcomes;
}

/**
 * The next candidate for an order, or why there is none. Providers in `tried` are not tried again. The `last` try that the
 * order has goes to the fallback, where there is one.
 */
export type PickNext = (
  order: Order,
  tried: ReadonlySet<string>,
  last?: boolean,
) => { candidate: Candidate } | NobodyToPick;

export interface NobodyToPick {
  readonly none: ErrorCodeOfNone;
  /** The consumer's filter that left nobody, when `none` is `preferences-unmet`. */
  readonly filter?: Filter;
  /** Only external endpoints are left, and the order is for agents alone. */
  readonly agentsOnly?: boolean;
}

export type ErrorCodeOfNone =
  | 'model-without-provider'
  | 'providers-busy'
  | 'provider-failed'
  | 'prompt-too-large-for-providers'
  | 'preferences-unmet'
  | 'request-quarantined';

/** What happened on a candidate, for its circuit and its record. Called once per attempt, at its end. */
export interface Outcomes {
  /** True when the attempt is a trial of an open circuit; handed back in its outcome. */
  started(candidate: Candidate): boolean;
  finished(candidate: Candidate, modelId: string, outcome: AttemptOutcome): void;
  /**
   * A link of `providerId` was lost while it worked on `order`; `begun` when the answer had. True when that makes the
   * request a poisonous one.
   */
  linkLost(order: Order, providerId: string, begun: boolean): boolean;
  /** The order was answered in full. */
  answered(order: Order): void;
}

export interface AttemptOutcome {
  readonly trial: boolean;
  readonly judgement: Judgement;
  readonly ttftMs: number | undefined;
  readonly durationMs: number;
  readonly tokens: number;
}

export interface DispatchSettings {
  readonly retriesMax: number;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  readonly firstTokenDeadlineMs: number;
  readonly gapDeadlineMs: number;
  /** The whole request, retries included. */
  readonly requestDeadlineMs: number;
  /** How often deadlines are looked at: they are met to this accuracy. */
  readonly wheelMs: number;
}

/** A request to be served. */
export interface Order {
  readonly requestId: string;
  readonly consumerId: string;
  readonly modelId: string;
  readonly completionId: string;
  readonly createdS: number;
  readonly operation: Operation;
  /** What a candidate must be able to do; one of these is enough. */
  readonly needs: OperationSet;
  readonly expects: Expected;
  readonly stream: boolean;
  readonly body: Buffer;
  readonly set: Readonly<Record<string, unknown>>;
  /** The most that an answer within the request's limits can be. A provider that goes on is stopped. */
  readonly answerMax: { readonly events: number; readonly bytes: number };
  /** The markets that it has passed on its way here, as its `CDN-Loop` names them. */
  readonly via?: string | undefined;
  /** The trace it belongs to; absent: none. */
  readonly trace?: Trace | undefined;
  /** The listed price it was admitted with: nobody who asks more is tried. Absent: nobody is too dear. */
  readonly price?: Price;
  /** What its caller's tier makes of a price. Absent: the whole one. */
  readonly priceFactor?: number;
  /** Its consumer's plan has no fallback: no external endpoint is tried. */
  readonly agentsOnly?: boolean;
  /** Attempts beyond the first, where its consumer has fewer than the house allows. */
  readonly retriesMax?: number;
  /** The one candidate that may serve it, by its id; absent: whoever routing chooses. For probes. */
  readonly to?: string;
  /** Its first attempt may share a call with others (`gather.ts`). */
  readonly gather?: Gather;
  /** What the consumer and the house prefer for this request; absent: nothing in particular. */
  readonly wish?: Wish;
}

/** What routing heeds of a request beyond its model and size. */
export interface Wish {
  /** The consumer's `provider` object. */
  readonly preferences?: Preferences;
  /** The names of the body's fields, for `require_parameters`. */
  readonly parameters?: readonly string[];
  /** The model, whose listed price and canary count. */
  readonly model?: Model;
  /** Names the conversation among its consumer's: turns of one find the same node. */
  readonly conversation?: string;
}

export interface DispatchSink {
  /** An attempt began on this candidate. May come again after a failed attempt, but not once data came. */
  began(candidate: Candidate, attemptId: string): void;
  data(events: Buffer, eventCount: number, tokenCount: number, contentBytes: number): void;
  result(body: Buffer, answer: Answer): void;
  /** Exactly once, last. */
  ended(end: DispatchEnd): void;
}

export interface DispatchEnd {
  /**
   * `completed`: the whole answer was handed over. `broken`: it stopped after content. `failed`: there is no content.
   * `cancelled`: the caller stopped it.
   */
  readonly outcome: 'completed' | 'broken' | 'failed' | 'cancelled';
  /** A code of the error table when the outcome is `broken` or `failed`. */
  readonly errorCode: string | undefined;
  /** What the provider states. */
  readonly usage: Usage | undefined;
  readonly candidate: Candidate | undefined;
  readonly attemptId: string | undefined;
  readonly attempts: number;
  /** Every attempt that began, in the order of time. Their `startedMs` are monotonic. */
  readonly tries: readonly Try[];
}

/** One request under way. */
export class Run {
  /** Its place in the dispatcher's roster. */
  place = -1;
  readonly #parts: DispatchParts;
  readonly #settings: DispatchSettings;
  readonly #order: Order;
  readonly #sink: DispatchSink;
  readonly #active: Roster<Run>;
  readonly #startedMs: number;
  readonly #tried = new Set<string>();
  readonly #tries: Try[] = [];
  #attempts = 0;
  #attempt: Attempt | undefined;
  #attemptId: string | undefined;
  #candidate: Candidate | undefined;
  #attemptStartedMs = 0;
  #trial = false;
  #firstContentMs: number | undefined;
  #lastProgressMs = 0;
  #tokens = 0;
  #events = 0;
  #bytes = 0;
  #retry: Timer | undefined;
  #last = false;
  #stopping: 'cancelled' | 'deadline' | undefined;
  #lastFailure: string | undefined;
  #ended = false;

  constructor(
    parts: DispatchParts,
    settings: DispatchSettings,
    order: Order,
    sink: DispatchSink,
    active: Roster<Run>,
  ) {
    this.#parts = parts;
    this.#settings = settings;
    this.#order = order;
    this.#sink = sink;
    this.#active = active;
    this.#startedMs = parts.clock.nowMs();
    active.add(this);
  }

  begin(first: Candidate): void {
    this.#parts.retryBudget.earn();
    this.#try(first);
  }

  /** The consumer took `bytes` of what was handed over. */
  consumed(bytes: number): void {
    this.#attempt?.consumed(bytes);
  }

  /** The consumer left. The sink still hears `ended`, with the provider's exact count where it tells. */
  cancel(): void {
    if (this.#ended || this.#stopping) return;
    this.#stopping = 'cancelled';
    if (this.#attempt) this.#attempt.cancel('consumer_disconnected');
    else this.#finish({ outcome: 'cancelled', errorCode: undefined, usage: undefined });
  }

  /** Ends the run with a code of our own, whatever the attempt is doing. */
  giveUp(errorCode: string): void {
    if (this.#ended) return;
    const attempt = this.#attempt;
    this.#closeAttempt('neutral', 'stopped');
    attempt?.cancel('shutting_down');
    this.#finish({ outcome: this.#hasContent() ? 'broken' : 'failed', errorCode, usage: undefined });
  }

  checkDeadlines(nowMs: number): void {
    if (this.#ended || !this.#attempt || this.#stopping) return;
    const silentMs = nowMs - this.#lastProgressMs;
    const allowedMs = this.#hasContent() ? this.#settings.gapDeadlineMs : this.#settings.firstTokenDeadlineMs;
    const requestOver = nowMs - this.#startedMs > this.#settings.requestDeadlineMs;
    // An unstreamed answer shows nothing until it is whole: only the deadline of the request bounds it.
    if (requestOver || (this.#order.stream && silentMs > allowedMs)) this.#timeOut(requestOver);
  }

  #timeOut(requestOver: boolean): void {
    const attempt = this.#attempt as Attempt;
    this.#closeAttempt('failed', 'slow');
    attempt.cancel('attempt_timeout');
    this.#lastFailure = 'provider-too-slow';
    if (this.#hasContent())
      this.#finish({ outcome: 'broken', errorCode: 'provider-cut-off', usage: undefined });
    else if (requestOver)
      this.#finish({ outcome: 'failed', errorCode: 'provider-too-slow', usage: undefined });
    else this.#retryLater();
  }

  /** More came than the caller allowed: what comes next would be no answer to the request. */
  #overrun(): void {
    const attempt = this.#attempt as Attempt;
    this.#closeAttempt('failed', 'endless');
    attempt.cancel('attempt_timeout');
    this.#finish({ outcome: 'broken', errorCode: 'provider-cut-off', usage: undefined });
  }

  #tryNext(): void {
    const picked = this.#parts.pick(this.#order, this.#tried, this.#last);
    if ('none' in picked) {
      // What went wrong says more than that nobody is left, unless the request itself is what is wrong.
      const errorCode =
        picked.none === 'request-quarantined' ? picked.none : (this.#lastFailure ?? picked.none);
      this.#parts.clock.endOfTurn(() => this.#finish({ outcome: 'failed', errorCode, usage: undefined }));
      return;
    }
    this.#try(picked.candidate);
  }

  #try(candidate: Candidate): void {
    const link = this.#parts.linkOf(candidate);
    if (!link) {
      // It left since it was chosen: the next choice will not find it.
      this.#tryNext();
      return;
    }
    this.#tried.add(candidate.providerId);
    const attemptId = this.#parts.ids('att');
    this.#attempts += 1;
    this.#candidate = candidate;
    this.#attemptId = attemptId;
    this.#attemptStartedMs = this.#parts.clock.nowMs();
    this.#lastProgressMs = this.#attemptStartedMs;
    this.#trial = this.#parts.outcomes.started(candidate);
    this.#sink.began(candidate, attemptId);
    const order = this.#order;
    // Events of an attempt that was given up must not reach the consumer: each sink knows the attempt it belongs to.
    this.#attempt = link.start(
      {
        attemptId,
        modelId: order.modelId,
        completionId: order.completionId,
        createdS: order.createdS,
        operation: order.operation,
        expects: order.expects,
        stream: order.stream,
        body: order.body,
        set: order.set,
        via: order.via,
        // A second try goes alone: who broke the first call is not known.
        ...(order.gather && this.#attempts === 1 && { gather: order.gather }),
        ...(order.trace && { traceparent: traceparentOf(order.trace, attemptId) }),
        deadlineMs: Math.max(
          1,
          this.#settings.requestDeadlineMs - (this.#attemptStartedMs - this.#startedMs),
        ),
      },
      {
        data: (events, eventCount, tokenCount, contentBytes) => {
          if (this.#attemptId !== attemptId || !this.#attempt || this.#stopping) return;
          this.#lastProgressMs = this.#parts.clock.nowMs();
          this.#firstContentMs ??= this.#lastProgressMs;
          this.#tokens += tokenCount;
          this.#events += eventCount;
          this.#bytes += events.length;
          const { answerMax } = order;
          if (this.#events > answerMax.events || this.#bytes > answerMax.bytes) return this.#overrun();
          this.#sink.data(events, eventCount, tokenCount, contentBytes);
        },
        result: (body, answer) => {
          if (this.#attemptId !== attemptId || !this.#attempt || this.#stopping) return;
          this.#firstContentMs ??= this.#parts.clock.nowMs();
          // Never timed: only whether it says anything matters.
          this.#tokens = saysSomething(answer, order.operation) ? 1 : 0;
          this.#sink.result(body, answer);
        },
        end: (end) => {
          if (this.#attemptId === attemptId && this.#attempt) this.#attemptEnded(end);
        },
      },
    );
  }

  #attemptEnded(end: AttemptEnd): void {
    if (this.#ended) return;
    if (this.#stopping === 'cancelled') {
      this.#closeAttempt('neutral', 'left');
      this.#finish({ outcome: 'cancelled', errorCode: undefined, usage: end.usage });
      return;
    }
    if (end.inner !== undefined && end.outcome !== 'completed') this.#logFailure(end);
    const hadContent = this.#hasContent();
    switch (end.outcome) {
      case 'completed':
        this.#closeAttempt(
          !hadContent ? 'failed' : this.#tokens > 0 ? 'served' : 'neutral',
          hadContent ? 'served' : 'empty',
        );
        if (hadContent) this.#parts.outcomes.answered(this.#order);
        if (hadContent) return this.#finish({ outcome: 'completed', errorCode: undefined, usage: end.usage });
        // No answer at all, called complete, is a failure of the provider; nothing was sent, so another may try. (One that
        // is there and says nothing may be what the caller's own stop sequence made of it: it proves nothing.)
        this.#lastFailure = 'provider-failed';
        return this.#retryLater();
      case 'refused':
        this.#closeAttempt('neutral', 'refused');
        return this.#finish({
          outcome: hadContent ? 'broken' : 'failed',
          errorCode: end.errorCode ?? 'request-refused-by-model',
          usage: end.usage,
        });
      case 'busy':
        this.#closeAttempt('neutral', 'busy');
        this.#lastFailure = 'providers-busy';
        break;
      case 'lost': {
        if (end.between) {
          this.#closeAttempt('neutral', 'between');
          this.#lastFailure = 'gateway-lost';
          break;
        }
        const providerId = this.#candidate?.providerId ?? '';
        const poison = this.#parts.outcomes.linkLost(this.#order, providerId, hadContent);
        this.#closeAttempt(judgement('lost', poison), 'lost');
        this.#lastFailure = 'provider-cut-off';
        if (poison && !hadContent) {
          return this.#finish({ outcome: 'failed', errorCode: 'request-quarantined', usage: undefined });
        }
        break;
      }
      case 'cancelled':
        // Not by us: the link gave up because the consumer did not take what had arrived.
        this.#closeAttempt('neutral', 'left');
        return this.#finish({ outcome: 'cancelled', errorCode: 'client-too-slow', usage: end.usage });
      case 'failed':
        this.#closeAttempt('failed', 'failed');
        this.#lastFailure = end.errorCode ?? 'provider-failed';
        break;
    }
    const errorCode = end.between ? 'gateway-lost' : 'provider-cut-off';
    if (hadContent) this.#finish({ outcome: 'broken', errorCode, usage: end.usage });
    else this.#retryLater();
  }

  #retryLater(): void {
    const { backoff, requestDeadlineMs } = this.#settings;
    const retriesMax = Math.min(
      this.#settings.retriesMax,
      this.#order.retriesMax ?? Number.POSITIVE_INFINITY,
    );
    const { retryBudget } = this.#parts;
    const errorCode = this.#lastFailure ?? 'provider-failed';
    const spent = this.#parts.clock.nowMs() - this.#startedMs;
    if (this.#attempts > retriesMax || spent >= requestDeadlineMs || !retryBudget.spend()) {
      this.#finish({ outcome: 'failed', errorCode, usage: undefined });
      return;
    }
    this.#last = this.#attempts >= retriesMax || retryBudget.spent;
    const waitMs = backoffMs(this.#attempts - 1, backoff, this.#parts.random);
    this.#retry = this.#parts.clock.after(waitMs, () => {
      this.#retry = undefined;
      this.#tryNext();
    });
  }

  #hasContent(): boolean {
    return this.#firstContentMs !== undefined;
  }

  #closeAttempt(said: Judgement, result: TryResult): void {
    const candidate = this.#candidate;
    if (!candidate || !this.#attempt) return;
    this.#attempt = undefined;
    const nowMs = this.#parts.clock.nowMs();
    const { providerId, nodeId, mode, region } = candidate;
    this.#tries.push({
      attemptId: this.#attemptId as string,
      modelId: this.#order.modelId,
      providerId,
      nodeId,
      mode,
      region,
      result,
      startedMs: this.#attemptStartedMs,
      tookMs: nowMs - this.#attemptStartedMs,
    });
    this.#parts.outcomes.finished(candidate, this.#order.modelId, {
      trial: this.#trial,
      judgement: said,
      ttftMs: this.#firstContentMs === undefined ? undefined : this.#firstContentMs - this.#attemptStartedMs,
      durationMs: nowMs - this.#attemptStartedMs,
      tokens: this.#tokens,
    });
  }

  #finish(end: Pick<DispatchEnd, 'outcome' | 'errorCode' | 'usage'>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#retry?.cancel();
    this.#active.remove(this);
    this.#sink.ended({
      ...end,
      candidate: this.#candidate,
      attemptId: this.#attemptId,
      attempts: this.#attempts,
      tries: this.#tries,
    });
  }

  #logFailure(end: AttemptEnd): void {
    this.#parts.log.warn(
      {
        request: this.#order.requestId,
        attempt: this.#attemptId,
        provider: this.#candidate?.providerId,
        outcome: end.outcome,
        inner: end.inner,
      },
      'An attempt did not complete.',
    );
  }
}
