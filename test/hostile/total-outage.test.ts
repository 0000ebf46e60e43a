import { expect, test } from 'vitest';
import { readConfig } from '#config/config.ts';
import { CHAT_ONLY } from '#domain/operation.ts';
import { Dispatcher, type Order } from '#hub/dispatch.ts';
import { type AttemptSink, type Job, type Link, ONE_ANSWER } from '#hub/link.ts';
import { ServiceBook } from '#hub/service-book.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { RetryBudget } from '#kit/retry.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import { candidate } from '#support/candidate.ts';
import { VirtualClock } from '#support/virtual-clock.ts';

// Every provider fails at once, and later all come back. What our retries make of the first, and how soon consumers notice
// the second, with the settings that are shipped and the real rules: dispatch, circuits, panic, retry budget.

const PROVIDERS = 10;
const REQUESTS_PER_SECOND = 50;
const OUTAGE_MS = 60_000;

function fleet(seed: number, kind: 'failed' | 'lost' | 'busy') {
  const clock = new VirtualClock();
  const random = seededRandomness(seed);
  const { routing, hub, limits } = readConfig({});
  let away = false;
  let attempts = 0;
  const link: Link = {
    id: 'link',
    mode: 'websocket',
    start(_job: Job, sink: AttemptSink) {
      attempts += 1;
      const nothing = { usage: undefined, inner: undefined, errorCode: undefined };
      clock.after(5, () => {
        if (away) return sink.end({ outcome: kind, ...nothing });
        sink.data(Buffer.from('data: {}\n\n'), 1, 1, 2);
        sink.end({ outcome: 'completed', ...nothing, usage: { inputTokens: 1, outputTokens: 1 } });
      });
      return { cancel: () => {}, consumed: () => {} };
    },
  };
  const candidates = Array.from({ length: PROVIDERS }, (_, i) => candidate(`p${i}`));
  const book = new ServiceBook({ clock, random, strategy: healthAware(), candidates: () => candidates });
  const dispatcher = new Dispatcher(
    {
      clock,
      ids: idMaker(clock, random),
      random,
      log: silentLog,
      retryBudget: new RetryBudget(routing.retryBudget),
      pick: book.pick,
      linkOf: () => link,
      outcomes: book,
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
  let asked = 0;
  let good = 0;
  const ask = (): void => {
    asked += 1;
    // Each asks something else: this is an outage, not a request that kills.
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
      body: Buffer.from(JSON.stringify({ asked })),
      set: {},
      answerMax: { events: 1_000, bytes: 1_000_000 },
    };
    const picked = book.pick(order, new Set());
    if ('none' in picked) return;
    dispatcher.run(order, picked.candidate, {
      began: () => {},
      data: () => {},
      result: () => {},
      ended: (end) => {
        if (end.outcome === 'completed') good += 1;
      },
    });
  };
  clock.every(1_000 / REQUESTS_PER_SECOND, ask);
  return {
    /** Lets time pass; what was asked, tried and answered in it. */
    async pass(ms: number): Promise<{ asked: number; attempts: number; good: number }> {
      const before = { asked, attempts, good };
      await clock.advance(ms);
      return { asked: asked - before.asked, attempts: attempts - before.attempts, good: good - before.good };
    },
    goAway: () => {
      away = true;
    },
    comeBack: () => {
      away = false;
    },
    close: () => dispatcher.close(),
  };
}

test.each([
  [1, 'failed'],
  [2, 'failed'],
  [3, 'lost'],
  [4, 'busy'],
  [5, 'lost'],
] as const)(
  'a total outage is not multiplied by retries, and ends for consumers when it ends (seed %i, %s)',
  async (seed, kind) => {
    const market = fleet(seed, kind);
    const healthy = await market.pass(30_000);
    expect(healthy.attempts).toBe(healthy.asked);
    market.goAway();
    await market.pass(10_000);
    const outage = await market.pass(OUTAGE_MS - 10_000);
    expect(outage.good).toBe(0);
    expect(outage.attempts / outage.asked).toBeLessThanOrEqual(1.1);
    market.comeBack();
    await market.pass(5_000);
    const after = await market.pass(30_000);
    // A request may be under way at either end of the window.
    expect(after.good).toBeGreaterThanOrEqual(after.asked - 1);
    expect(after.attempts / after.asked).toBeLessThanOrEqual(1.1);
    market.close();
  },
);
