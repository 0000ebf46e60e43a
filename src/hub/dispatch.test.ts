import { beforeEach, describe, expect, test } from 'vitest';
import { CHAT_ONLY } from '#domain/operation.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { RetryBudget } from '#kit/retry.ts';
import type { Candidate } from '#routing/candidate.ts';
import { candidate } from '#support/candidate.ts';
import { FakeLink } from '#support/fake-link.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type AttemptOutcome, type DispatchEnd, Dispatcher, type Order } from './dispatch.ts';
import { ONE_ANSWER } from './link.ts';

const order: Order = {
  requestId: 'req_1',
  consumerId: 'con_1',
  modelId: 'm',
  completionId: 'chatcmpl-1',
  createdS: 1,
  operation: 'chat/completions',
  needs: CHAT_ONLY,
  expects: ONE_ANSWER,
  stream: true,
  body: Buffer.from('{}'),
  set: {},
  answerMax: { events: 1_000, bytes: 1_000_000 },
};

let clock: VirtualClock;
let links: Map<string, FakeLink>;
let heard: string[];
let end: DispatchEnd | undefined;
let outcomes: [string, AttemptOutcome['judgement']][];
let poison: boolean;
let dispatcher: Dispatcher;
let candidates: Candidate[];
/** Of each further pick, whether it was said to be the last. */
let lasts: (boolean | undefined)[];

const link = (provider: string): FakeLink => links.get(provider) as FakeLink;

function open(providers: readonly string[], burst = 10): void {
  candidates = providers.map((id) => candidate(id, { providerId: id }));
  links = new Map(providers.map((id) => [id, new FakeLink(id)]));
  const random = seededRandomness(1);
  dispatcher = new Dispatcher(
    {
      clock,
      ids: idMaker(clock, random),
      random,
      log: silentLog,
      retryBudget: new RetryBudget({ ratio: 0, burst }),
      pick: (_order, tried, last) => {
        lasts.push(last);
        const next = candidates.find((one) => !tried.has(one.providerId));
        return next ? { candidate: next } : { none: 'model-without-provider' };
      },
      linkOf: (one: Candidate) => links.get(one.providerId),
      outcomes: {
        started: () => false,
        finished: (one, _model, outcome) => outcomes.push([one.providerId, outcome.judgement]),
        linkLost: () => poison,
        answered: () => undefined,
      },
    },
    {
      retriesMax: 2,
      backoff: { baseMs: 50, capMs: 1000 },
      firstTokenDeadlineMs: 30_000,
      gapDeadlineMs: 10_000,
      requestDeadlineMs: 120_000,
      wheelMs: 100,
    },
  );
}

function run(change: Partial<Order> = {}): ReturnType<Dispatcher['run']> {
  return dispatcher.run({ ...order, ...change }, candidates[0] ?? candidate('gone'), {
    began: (one) => heard.push(`began ${one.providerId}`),
    data: (events) => heard.push(events.toString()),
    result: (body) => heard.push(`result ${body.toString()}`),
    ended: (ended) => {
      end = ended;
    },
  });
}

beforeEach(() => {
  clock = new VirtualClock();
  heard = [];
  end = undefined;
  outcomes = [];
  lasts = [];
  poison = false;
});

describe('a pick is said to be the last', () => {
  async function failAll(providers: readonly string[]): Promise<void> {
    run();
    for (const provider of providers) {
      link(provider).ends({ outcome: 'failed' });
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await clock.advance(1_000);
    }
  }

  test('when no retry may follow it', async () => {
    open(['a', 'b', 'c', 'd']);
    await failAll(['a', 'b', 'c']);
    expect(lasts).toEqual([false, true]);
    expect(end).toMatchObject({ outcome: 'failed', attempts: 3 });
  });

  test('when it takes what is left of the retry budget', async () => {
    open(['a', 'b', 'c', 'd'], 1);
    await failAll(['a', 'b']);
    expect(lasts).toEqual([true]);
    expect(end).toMatchObject({ outcome: 'failed', attempts: 2 });
  });
});

describe('an answer', () => {
  test('is handed over as it comes, and ends once', () => {
    open(['a']);
    run();
    link('a').says('one');
    link('a').says('two');
    link('a').ends({ outcome: 'completed', usage: { inputTokens: 3, outputTokens: 2 } });
    link('a').ends({ outcome: 'failed' });
    expect(heard).toEqual(['began a', 'one', 'two']);
    expect(end).toMatchObject({
      outcome: 'completed',
      attempts: 1,
      usage: { inputTokens: 3, outputTokens: 2 },
    });
    expect(outcomes).toEqual([['a', 'served']]);
    expect(dispatcher.active).toBe(0);
  });

  test('called complete without content is a failure, and another provider is tried', async () => {
    open(['a', 'b']);
    run();
    link('a').ends({ outcome: 'completed' });
    await clock.advance(1000);
    link('b').says('x');
    link('b').ends({ outcome: 'completed' });
    expect(end).toMatchObject({ outcome: 'completed', attempts: 2 });
    expect(outcomes).toEqual([
      ['a', 'failed'],
      ['b', 'served'],
    ]);
  });
});

describe('before the first content', () => {
  test.each(['failed', 'lost', 'busy'] as const)(
    'an attempt that is %s is followed by another provider',
    async (outcome) => {
      open(['a', 'b']);
      run();
      link('a').ends({ outcome });
      await clock.advance(1000);
      expect(heard).toEqual(['began a', 'began b']);
    },
  );

  test('there are at most three attempts, each on another provider', async () => {
    open(['a', 'b', 'c', 'd']);
    run();
    for (const provider of ['a', 'b', 'c']) {
      link(provider).ends({ outcome: 'failed', errorCode: 'provider-failed' });
      await clock.advance(2000);
    }
    expect(heard).toEqual(['began a', 'began b', 'began c']);
    expect(end).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed', attempts: 3 });
  });

  test('the request itself being at fault ends it at once and blames nobody', () => {
    open(['a', 'b']);
    run();
    link('a').ends({ outcome: 'refused', errorCode: 'prompt-too-long' });
    expect(end).toMatchObject({ outcome: 'failed', errorCode: 'prompt-too-long', attempts: 1 });
    expect(outcomes).toEqual([['a', 'neutral']]);
  });

  test('a retry budget that is used up ends retries', async () => {
    open(['a', 'b', 'c'], 1);
    run();
    link('a').ends({ outcome: 'failed' });
    await clock.advance(2000);
    link('b').ends({ outcome: 'failed' });
    expect(end).toMatchObject({ outcome: 'failed', attempts: 2 });
  });

  test('a provider that stays silent is given up at the deadline and told so', async () => {
    open(['a', 'b']);
    run();
    await clock.advance(29_000);
    expect(heard).toEqual(['began a']);
    await clock.advance(3000);
    expect(link('a').last.cancelled).toBe('attempt_timeout');
    expect(heard).toEqual(['began a', 'began b']);
    expect(outcomes[0]).toEqual(['a', 'failed']);
  });

  test('what a given-up attempt still says reaches nobody', async () => {
    open(['a', 'b']);
    run();
    await clock.advance(31_000);
    link('a').says('late');
    await clock.advance(2000);
    link('a').says('later');
    link('a').ends({ outcome: 'completed' });
    link('b').says('right');
    link('b').ends({ outcome: 'completed' });
    expect(heard).toEqual(['began a', 'began b', 'right']);
    expect(end).toMatchObject({ outcome: 'completed', attempts: 2 });
  });

  test('a request that killed links before is not tried on further providers', () => {
    open(['a', 'b']);
    poison = true;
    run();
    link('a').ends({ outcome: 'lost' });
    expect(end).toMatchObject({ outcome: 'failed', errorCode: 'request-quarantined', attempts: 1 });
    expect(outcomes).toEqual([['a', 'neutral']]);
  });

  test('nobody to try is told after the call returned, never within it', async () => {
    open([]);
    run();
    expect(end).toBeUndefined();
    await clock.advance(1);
    expect(end).toMatchObject({ outcome: 'failed', errorCode: 'model-without-provider', attempts: 0 });
  });
});

describe('after the first content', () => {
  test.each(['failed', 'lost', 'busy', 'refused'] as const)(
    'an attempt that is %s breaks the answer; there is no second try',
    async (outcome) => {
      open(['a', 'b']);
      run();
      link('a').says('half');
      link('a').ends({ outcome });
      await clock.advance(5000);
      expect(heard).toEqual(['began a', 'half']);
      expect(end?.outcome).toBe('broken');
    },
  );

  test('a provider that falls silent breaks the answer at the gap deadline', async () => {
    open(['a', 'b']);
    run();
    link('a').says('half');
    await clock.advance(11_000);
    expect(end).toMatchObject({ outcome: 'broken', errorCode: 'provider-cut-off' });
    expect(link('a').last.cancelled).toBe('attempt_timeout');
  });
});

describe('the consumer leaving', () => {
  test('cancels the attempt at once, and the end carries the exact count', () => {
    open(['a']);
    const running = run();
    link('a').says('one');
    running.cancel();
    expect(link('a').last.cancelled).toBe('consumer_disconnected');
    link('a').says('two');
    link('a').ends({ outcome: 'cancelled', usage: { inputTokens: 3, outputTokens: 2 } });
    expect(heard).toEqual(['began a', 'one']);
    expect(end).toMatchObject({ outcome: 'cancelled', usage: { inputTokens: 3, outputTokens: 2 } });
    expect(outcomes).toEqual([['a', 'neutral']]);
  });

  test('between two attempts ends the request without a further one', async () => {
    open(['a', 'b']);
    const running = run();
    link('a').ends({ outcome: 'failed' });
    running.cancel();
    await clock.advance(5000);
    expect(heard).toEqual(['began a']);
    expect(end?.outcome).toBe('cancelled');
  });
});

test('an unstreamed answer is bounded by the deadline of the request alone', async () => {
  open(['a']);
  run({ stream: false });
  await clock.advance(119_000);
  expect(end).toBeUndefined();
  await clock.advance(2000);
  expect(end).toMatchObject({ outcome: 'failed', errorCode: 'provider-too-slow' });
});

test('closing ends what runs, and nothing outlives it', () => {
  open(['a']);
  run();
  link('a').says('half');
  dispatcher.close();
  expect(end).toMatchObject({ outcome: 'broken', errorCode: 'shutting-down' });
  expect(dispatcher.active).toBe(0);
});

test('a link that gives up on a consumer who does not read blames nobody, and the bill is for what was passed on', () => {
  open(['a', 'b']);
  run();
  link('a').says('half');
  link('a').ends({ outcome: 'cancelled', usage: { inputTokens: 3, outputTokens: 9 } });
  expect(end).toMatchObject({ outcome: 'cancelled', errorCode: 'client-too-slow', attempts: 1 });
  expect(outcomes).toEqual([['a', 'neutral']]);
});
