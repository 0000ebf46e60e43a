import { beforeEach, describe, expect, it } from 'vitest';
import { CHAT_ONLY } from '#domain/operation.ts';
import { type DispatchEnd, Dispatcher } from '#hub/dispatch.ts';
import { ServiceBook } from '#hub/service-book.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { RetryBudget } from '#kit/retry.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import { dialMemory, type Script, type Served, SwanAgent } from '#support/swan-agent.ts';
import { MODEL, testHub, testJob } from '#support/test-hub.ts';
import { VirtualClock } from '#support/virtual-clock.ts';

/** Reliability, failure 15: silence in every place, on a clock in hand. Deadlines as the market has them by default. */

const FIRST_MS = 30_000;
const GAP_MS = 20_000;
const TOTAL_MS = 120_000;
const WHEEL_MS = 100;

let clock: VirtualClock;
let world: ReturnType<typeof build>;

function build() {
  const { hub } = testHub(clock);
  const random = seededRandomness(3);
  const service = new ServiceBook({
    clock,
    random,
    strategy: healthAware(),
    candidates: (modelId) => hub.candidates(modelId),
  });
  const dispatcher = new Dispatcher(
    {
      clock,
      ids: idMaker(clock, random),
      random,
      log: silentLog,
      retryBudget: new RetryBudget({ ratio: 0.1, burst: 20 }),
      pick: service.pick,
      linkOf: (candidate) => hub.linkOf(candidate),
      outcomes: service,
    },
    {
      retriesMax: 2,
      backoff: { baseMs: 50, capMs: 1_000 },
      firstTokenDeadlineMs: FIRST_MS,
      gapDeadlineMs: GAP_MS,
      requestDeadlineMs: TOTAL_MS,
      wheelMs: WHEEL_MS,
    },
  );
  return { hub, service, dispatcher };
}

async function join(token: string, script: Script): Promise<SwanAgent> {
  const agent = new SwanAgent({
    generation: 'C',
    token,
    nodeId: `node-of-${token}`,
    models: [MODEL],
    clock,
    dial: dialMemory((transport) => world.hub.attach(transport)),
    // Over a wire nothing comes back before the sending is done.
    script: (served) => void clock.after(1, () => script(served)),
  });
  await agent.start();
  await clock.advance(0);
  return agent;
}

/** Asks, and tells when and how it ended. */
function ask(stream = true) {
  const job = testJob({ stream });
  const result = { text: '', end: undefined as DispatchEnd | undefined, endedAtMs: 0, began: [] as string[] };
  const order = {
    requestId: 'req_1',
    consumerId: 'con_1',
    modelId: MODEL,
    completionId: job.completionId,
    createdS: job.createdS,
    operation: job.operation,
    needs: CHAT_ONLY,
    expects: job.expects,
    stream,
    body: job.body,
    set: {},
    answerMax: { events: 10_000, bytes: 10_000_000 },
  };
  const picked = world.service.pick(order, new Set());
  if ('none' in picked) throw new Error(picked.none);
  const startedMs = clock.nowMs();
  world.dispatcher.run(order, picked.candidate, {
    began: (candidate) => void result.began.push(candidate.providerId),
    data: (events) => {
      result.text += events.toString();
    },
    result: (body) => {
      result.text += body.toString();
    },
    ended: (end) => {
      result.end = end;
      result.endedAtMs = clock.nowMs() - startedMs;
    },
  });
  return result;
}

const everyMs = (served: Served, periodMs: number, what: () => void): void => {
  const timer = clock.every(periodMs, () => (served.cancelled ? timer.cancel() : what()));
};

const SILENT: Script = () => {};
const PLAIN: Script = (served) => {
  if (!served.stream) return served.result(served.completion('fine'));
  served.token('fine');
  served.finish();
  served.done();
  served.end();
};

beforeEach(() => {
  clock = new VirtualClock();
  world = build();
});

describe('a provider that falls silent', () => {
  it('before the first token is left at the first deadline, and another one answers', async () => {
    const silent = await join('sk-prov-one', SILENT);
    const first = ask();
    const plain = await join('sk-prov-two', PLAIN);
    await clock.advance(FIRST_MS - 1_000);
    expect(first.end).toBeUndefined();
    await clock.advance(3_000);
    expect(first.end).toMatchObject({ outcome: 'completed', attempts: 2 });
    expect(first.endedAtMs).toBeLessThanOrEqual(FIRST_MS + WHEEL_MS + 1_000);
    expect(silent.inferences[0]?.cancelled).toBe(true);
    expect(plain.inferences).toHaveLength(1);
    // Its record pays.
    const record = world.hub.registry.recordOf('prov_one', 'node-of-sk-prov-one', MODEL);
    expect(record?.success).toBeLessThan(0.8);
  });

  it('with events that carry nothing is silent all the same', async () => {
    await join('sk-prov-one', (served) => everyMs(served, 1_000, () => served.token('')));
    const only = ask();
    await clock.advance(FIRST_MS + 2_000);
    expect(only.end).toMatchObject({ outcome: 'failed', errorCode: 'provider-too-slow', attempts: 1 });
    expect(only.text).toBe('');
  });

  it.each([1, 2, 10, 50])(
    'after token %i ends the answer at the gap deadline, without a second try',
    async (k) => {
      const silent = await join('sk-prov-one', (served) => {
        for (let i = 0; i < k; i++) served.token(`t${i} `);
      });
      const cut = ask();
      await join('sk-prov-two', PLAIN);
      await clock.advance(GAP_MS + 2 * WHEEL_MS);
      expect(cut.end).toMatchObject({ outcome: 'broken', errorCode: 'provider-cut-off', attempts: 1 });
      expect(cut.endedAtMs).toBeGreaterThan(GAP_MS);
      expect(silent.inferences[0]?.cancelled).toBe(true);
    },
  );

  it('after its last token, without an end mark, is cut too', async () => {
    await join('sk-prov-one', (served) => {
      served.token('all of it');
      served.finish();
    });
    const cut = ask();
    await clock.advance(GAP_MS + 2 * WHEEL_MS);
    expect(cut.end).toMatchObject({ outcome: 'broken' });
  });

  it('after its end mark has answered: the end that its agent dropped is not waited for', async () => {
    await join('sk-prov-one', (served) => {
      served.token('all of it');
      served.finish();
      served.usage(7, 3);
      served.done();
    });
    const whole = ask();
    await clock.advance(3_000);
    expect(whole.end).toMatchObject({ outcome: 'completed', usage: { inputTokens: 7, outputTokens: 3 } });
    expect(world.hub.registry.inFlight).toBe(0);
  });

  it('after an end mark with nothing before it has not answered', async () => {
    await join('sk-prov-one', (served) => served.done());
    const nothing = ask();
    await clock.advance(10_000);
    expect(nothing.end).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
  });

  it('a slow loris that stays just within the gap ends with the whole request', async () => {
    await join('sk-prov-one', (served) => everyMs(served, GAP_MS - 1_000, () => served.token('drip ')));
    const slow = ask();
    await clock.advance(TOTAL_MS + 2 * WHEEL_MS);
    expect(slow.end).toMatchObject({ outcome: 'broken', errorCode: 'provider-cut-off' });
    expect(slow.endedAtMs).toBeGreaterThan(TOTAL_MS);
    expect(slow.endedAtMs).toBeLessThanOrEqual(TOTAL_MS + WHEEL_MS);
  });

  it('over an unstreamed answer ends with the whole request', async () => {
    const silent = await join('sk-prov-one', SILENT);
    const whole = ask(false);
    await clock.advance(TOTAL_MS + 2 * WHEEL_MS);
    expect(whole.end).toMatchObject({ outcome: 'failed', errorCode: 'provider-too-slow' });
    expect(silent.inferences[0]?.cancelled).toBe(true);
  });

  it('all of them: three are tried at most, and the request ends within its deadline', async () => {
    for (const token of ['sk-prov-one', 'sk-prov-two', 'sk-prov-test']) await join(token, SILENT);
    const none = ask();
    await clock.advance(TOTAL_MS + 1_000);
    expect(none.end).toMatchObject({ outcome: 'failed', errorCode: 'provider-too-slow', attempts: 3 });
    expect(new Set(none.began).size).toBe(3);
  });

  it('altogether, its socket too: what it served is lost when its heartbeats are', async () => {
    const dead = await join('sk-prov-one', SILENT);
    const unstreamed = ask(false);
    // The machine hangs: nothing is sent any more, and the socket stays open.
    dead.raw = () => undefined;
    await clock.advance(95_000);
    expect(world.hub.candidates(MODEL)).toHaveLength(0);
    expect(unstreamed.end?.outcome ?? 'retrying').not.toBe('completed');
    await clock.advance(TOTAL_MS);
    expect(unstreamed.end).toMatchObject({ outcome: 'failed' });
  });

  it('leaves nothing behind', async () => {
    await join('sk-prov-one', SILENT);
    const asked = Array.from({ length: 10 }, (_, i) => ask(i % 2 === 0));
    await clock.advance(TOTAL_MS + 1_000);
    expect(asked.every((each) => each.end !== undefined)).toBe(true);
    expect(world.dispatcher.active).toBe(0);
    expect(world.hub.registry.inFlight).toBe(0);
    expect(world.hub.candidates(MODEL)[0]?.inFlight).toBe(0);
  });
});
