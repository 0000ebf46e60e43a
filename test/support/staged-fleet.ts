import { readConfig } from '#config/config.ts';
import { CHAT_ONLY } from '#domain/operation.ts';
import { Dispatcher, type Order } from '#hub/dispatch.ts';
import { type AttemptSink, type Job, type Link, ONE_ANSWER } from '#hub/link.ts';
import { ServiceBook } from '#hub/service-book.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { RetryBudget } from '#kit/retry.ts';
import type { Candidate } from '#routing/candidate.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import { VirtualClock } from './virtual-clock.ts';

/** How an attempt ends: served, or in one of the ways in which a link fails. */
export type Ending = 'completed' | 'failed' | 'lost' | 'busy';

export interface Sums {
  asked: number;
  attempts: number;
  good: number;
}

/**
 * Candidates whose attempts end as a test says, asked fifty times a second on a virtual clock by the settings that are
 * shipped and the real rules: dispatch, circuits, panic, retry budget.
 */
export class StagedFleet {
  readonly #clock = new VirtualClock();
  readonly #book: ServiceBook;
  readonly #dispatcher: Dispatcher;
  readonly #agentsOnly: boolean;
  readonly #sums: Sums = { asked: 0, attempts: 0, good: 0 };

  constructor(about: {
    seed: number;
    candidates: Candidate[];
    ending: (candidate: Candidate) => Ending;
    agentsOnly?: boolean;
  }) {
    const { candidates, ending } = about;
    const clock = this.#clock;
    const random = seededRandomness(about.seed);
    const { routing, hub, limits } = readConfig({});
    this.#agentsOnly = about.agentsOnly ?? false;
    this.#book = new ServiceBook({ clock, random, strategy: healthAware(), candidates: () => candidates });
    this.#dispatcher = new Dispatcher(
      {
        clock,
        ids: idMaker(clock, random),
        random,
        log: silentLog,
        retryBudget: new RetryBudget(routing.retryBudget),
        pick: this.#book.pick,
        linkOf: (candidate) => this.#link(() => ending(candidate)),
        outcomes: this.#book,
      },
      {
        retriesMax: routing.retriesMax,
        backoff: routing.backoff,
        firstTokenDeadlineMs: hub.firstTokenDeadlineMs,
        gapDeadlineMs: hub.gapDeadlineMs,
        requestDeadlineMs: limits.requestTimeoutMs,
        wheelMs: 100,
      },
    );
    clock.every(20, () => this.#ask());
  }

  /** Lets time pass; what was asked, tried and answered in it. */
  async pass(ms: number): Promise<Sums> {
    const before = { ...this.#sums };
    await this.#clock.advance(ms);
    const { asked, attempts, good } = this.#sums;
    return { asked: asked - before.asked, attempts: attempts - before.attempts, good: good - before.good };
  }

  close(): void {
    this.#dispatcher.close();
  }

  #link(ending: () => Ending): Link {
    return {
      id: 'link',
      mode: 'websocket',
      start: (_job: Job, sink: AttemptSink) => {
        this.#sums.attempts += 1;
        this.#clock.after(5, () => {
          const outcome = ending();
          const usage = outcome === 'completed' ? { inputTokens: 1, outputTokens: 1 } : undefined;
          if (outcome === 'completed') sink.data(Buffer.from('data: {}\n\n'), 1, 1, 2);
          sink.end({ outcome, usage, inner: undefined, errorCode: undefined });
        });
        return { cancel: () => {}, consumed: () => {} };
      },
    };
  }

  #ask(): void {
    const { asked } = this.#sums;
    this.#sums.asked += 1;
    const order: Order = {
      requestId: `req_${asked}`,
      consumerId: 'con_1',
      modelId: 'model',
      completionId: `chatcmpl-${asked}`,
      createdS: 0,
      operation: 'chat/completions',
      needs: CHAT_ONLY,
      expects: ONE_ANSWER,
      stream: true,
      // Each asks something else: this is an outage, not a request that kills.
      body: Buffer.from(JSON.stringify({ asked })),
      set: {},
      answerMax: { events: 1_000, bytes: 1_000_000 },
      agentsOnly: this.#agentsOnly,
    };
    const picked = this.#book.pick(order, new Set());
    if ('none' in picked) return;
    this.#dispatcher.run(order, picked.candidate, {
      began: () => {},
      data: () => {},
      result: () => {},
      ended: (end) => {
        if (end.outcome === 'completed') this.#sums.good += 1;
      },
    });
  }
}
