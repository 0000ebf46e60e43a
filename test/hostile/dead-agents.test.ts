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

// Every agent of a model is dead, and an external endpoint stands by: with the settings that are shipped and the real
// rules, its consumers must hardly notice, and no more may be sent than the retry budget allows.

function market(seed: number, agents: number, agentsOnly: boolean) {
  const clock = new VirtualClock();
  const random = seededRandomness(seed);
  const { routing, hub, limits } = readConfig({});
  const sums = { asked: 0, attempts: 0, good: 0 };
  const link = (serves: boolean): Link => ({
    id: 'link',
    mode: 'websocket',
    start(_job: Job, sink: AttemptSink) {
      sums.attempts += 1;
      const nothing = { usage: undefined, inner: undefined, errorCode: undefined };
      clock.after(5, () => {
        if (!serves) return sink.end({ outcome: 'failed', ...nothing });
        sink.data(Buffer.from('data: {}\n\n'), 1, 1, 2);
        sink.end({ outcome: 'completed', ...nothing });
      });
      return { cancel: () => {}, consumed: () => {} };
    },
  });
  const [dead, alive] = [link(false), link(true)];
  const candidates = [
    ...Array.from({ length: agents }, (_, i) => candidate(`agent${i}`)),
    candidate('endpoint', { mode: 'external', capacity: 100, linkCapacity: 100 }),
  ];
  const book = new ServiceBook({ clock, random, strategy: healthAware(), candidates: () => candidates });
  const dispatcher = new Dispatcher(
    {
      clock,
      ids: idMaker(clock, random),
      random,
      log: silentLog,
      retryBudget: new RetryBudget(routing.retryBudget),
      pick: book.pick,
      linkOf: ({ mode }) => (mode === 'external' ? alive : dead),
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
  clock.every(20, () => {
    sums.asked += 1;
    const order: Order = {
      requestId: `req_${sums.asked}`,
      consumerId: 'con_1',
      modelId: 'model',
      completionId: `chatcmpl-${sums.asked}`,
      createdS: 0,
      operation: 'chat/completions',
      needs: CHAT_ONLY,
      expects: ONE_ANSWER,
      stream: true,
      body: Buffer.from(JSON.stringify(sums)),
      set: {},
      answerMax: { events: 1_000, bytes: 1_000_000 },
      agentsOnly,
    };
    const picked = book.pick(order, new Set());
    if ('none' in picked) return;
    dispatcher.run(order, picked.candidate, {
      began: () => {},
      data: () => {},
      result: () => {},
      ended: (end) => {
        if (end.outcome === 'completed') sums.good += 1;
      },
    });
  });
  return { sums, clock, close: () => dispatcher.close() };
}

test.each([
  [1, 1],
  [2, 3],
  [3, 3],
  [4, 10],
])(
  'with a fallback standing by, dead agents are hardly noticed (seed %i, %i agents)',
  async (seed, agents) => {
    const { sums, clock, close } = market(seed, agents, false);
    await clock.advance(10_000);
    const beginning = { ...sums };
    expect(beginning.good / beginning.asked).toBeGreaterThan(0.9);
    await clock.advance(120_000);
    const [asked, attempts, good] = [
      sums.asked - beginning.asked,
      sums.attempts - beginning.attempts,
      sums.good - beginning.good,
    ];
    expect(attempts / asked).toBeLessThanOrEqual(1.1);
    expect(good / asked).toBeGreaterThan(0.99);
    close();
  },
);

test('a plan without fallback gets nothing from it, and is not tried more often for that', async () => {
  const { sums, clock, close } = market(5, 3, true);
  await clock.advance(10_000);
  const beginning = { ...sums };
  await clock.advance(60_000);
  expect(sums.good).toBe(0);
  expect((sums.attempts - beginning.attempts) / (sums.asked - beginning.asked)).toBeLessThanOrEqual(1.1);
  close();
});
