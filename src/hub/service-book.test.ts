import { describe, expect, test } from 'vitest';
import type { Model } from '#domain/model.ts';
import { CHAT_ONLY } from '#domain/operation.ts';
import { NO_PREFERENCES } from '#domain/preferences.ts';
import { seededRandomness } from '#kit/random.ts';
import { newBreaker } from '#routing/breaker.ts';
import type { Candidate } from '#routing/candidate.ts';
import { leastConnections } from '#routing/strategies/least-connections.ts';
import { candidate } from '#support/candidate.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { Order, Wish } from './dispatch.ts';
import { ONE_ANSWER } from './link.ts';
import { ServiceBook } from './service-book.ts';

const MODEL: Model = {
  id: 'model',
  slug: 'model',
  aliases: [],
  name: 'model',
  category: 'llm',
  contextTokens: 1_000,
  maxOutputTokens: 100,
  minVramGb: 0,
  active: true,
  canary: null,
  price: { id: 'price_1', unit: 'token', inputPico: 1n, outputPico: 2n },
};

function order(wish: Wish, consumerId = 'con_1'): Order {
  return {
    requestId: 'req_1',
    consumerId,
    modelId: 'model',
    completionId: 'chatcmpl-1',
    createdS: 0,
    operation: 'chat/completions',
    needs: CHAT_ONLY,
    expects: ONE_ANSWER,
    stream: true,
    body: Buffer.from('{}'),
    set: {},
    answerMax: { events: 1_000, bytes: 1_000_000 },
    wish,
  };
}

function bookOf(fleet: Candidate[], region?: string, avoid?: (modelId: string) => readonly string[]) {
  const clock = new VirtualClock();
  const book = new ServiceBook({
    clock,
    random: seededRandomness(3),
    strategy: leastConnections(),
    candidates: () => fleet,
    region,
    avoid,
  });
  const pick = (wish: Wish, tried: string[] = [], consumerId?: string): unknown => {
    const picked = book.pick(order(wish, consumerId), new Set(tried));
    return 'candidate' in picked ? picked.candidate.nodeId : picked;
  };
  return { book, clock, pick };
}

describe('a conversation', () => {
  test('stays with its node while that has room, and leaves it when it has not', () => {
    const [a, b] = [candidate('a'), candidate('b', { inFlight: 1 })];
    const { pick } = bookOf([a, b]);
    expect(pick({ conversation: 'c' })).toBe('node-a');
    a.inFlight = 3;
    expect(pick({ conversation: 'c' })).toBe('node-a');
    expect(pick({ conversation: 'another' })).toBe('node-b');
    a.inFlight = 8;
    expect(pick({ conversation: 'c' })).toBe('node-b');
  });

  test('is forgotten after ten idle minutes', async () => {
    const [a, b] = [candidate('a'), candidate('b', { inFlight: 1 })];
    const { pick, clock } = bookOf([a, b]);
    pick({ conversation: 'c' });
    a.inFlight = 3;
    await clock.advance(600_000);
    expect(pick({ conversation: 'c' })).toBe('node-b');
  });

  test("of one consumer never leads another's to a node", () => {
    const [a, b] = [candidate('a'), candidate('b', { inFlight: 1 })];
    const { pick } = bookOf([a, b]);
    pick({ conversation: 'the same words' });
    a.inFlight = 3;
    expect(pick({ conversation: 'the same words' }, [], 'con_2')).toBe('node-b');
  });
});

describe('a region in trouble', () => {
  const near = candidate('near', { region: 'eu' });
  const far = candidate('far', { region: 'us', inFlight: 3 });
  const avoiding = (fleet: Candidate[], regions: string[]) => bookOf(fleet, 'eu', () => regions);

  test('is left alone as long as another can serve, warm or near as it may be', () => {
    const { pick } = avoiding([near, far], []);
    expect(pick({ conversation: 'c' })).toBe('node-near');
    const { pick: pickNow } = avoiding([near, far], ['eu']);
    expect(pickNow({ conversation: 'c' })).toBe('node-far');
    expect(pickNow({ conversation: 'c' })).toBe('node-far');
    expect(pickNow({}, ['provider-far'])).toBe('node-near');
  });

  test('serves when nobody else is there', () => {
    const { pick } = avoiding([near, candidate('other', { region: 'eu', inFlight: 2 })], ['eu']);
    expect(pick({})).toBe('node-near');
  });
});

describe('an order for one candidate', () => {
  test('goes there or nowhere, and is not tried again', () => {
    const [a, b] = [candidate('a'), candidate('b')];
    const { book } = bookOf([a, b]);
    const to = (id: string, tried: string[] = []) => book.pick({ ...order({}), to: id }, new Set(tried));
    expect(to(b.id)).toEqual({ candidate: b });
    expect(to('gone')).toEqual({ none: 'model-without-provider' });
    expect(to(b.id, ['provider-b'])).toEqual({ none: 'provider-failed' });
    b.inFlight = b.capacity;
    expect(to(b.id)).toEqual({ none: 'providers-busy' });
  });

  test('is the trial of a circuit whose time is over: answered, it closes', () => {
    const [a, b] = [candidate('a'), candidate('b')];
    const { book, clock } = bookOf([a, b]);
    book.shutOut(b, 'model');
    expect(b.breaker.state).toBe('open');
    // One of two may be shut out, and no more.
    book.shutOut(a, 'model');
    expect(a.breaker.state).toBe('closed');
    void clock.advance(6_000);
    expect(book.pick({ ...order({}), to: b.id }, new Set())).toEqual({ candidate: b });
    const trial = book.started(b);
    expect(trial).toBe(true);
    book.finished(b, 'model', { trial, judgement: 'served', ttftMs: 10, durationMs: 20, tokens: 1 });
    expect(b.breaker.state).toBe('closed');
  });
});

describe('preferences', () => {
  test('that leave nobody name their filter', () => {
    const { pick } = bookOf([candidate('a')]);
    const preferences = { ...NO_PREFERENCES, zeroRetention: true };
    expect(pick({ preferences, model: MODEL })).toEqual({ none: 'preferences-unmet', filter: 'zdr' });
  });

  test('without fallbacks nobody is tried after the first choice', () => {
    const { pick } = bookOf([candidate('a'), candidate('b', { inFlight: 1 })]);
    const preferences = { ...NO_PREFERENCES, allowFallbacks: false };
    expect(pick({ preferences, model: MODEL })).toBe('node-a');
    expect(pick({ preferences, model: MODEL }, ['provider-a'])).toEqual({ none: 'provider-failed' });
  });

  test("that sort win over the house's own region", () => {
    const near = candidate('near', { region: 'eu', record: { ttftMs: 300 } });
    const quick = candidate('quick', { record: { ttftMs: 100 } });
    const { pick } = bookOf([near, quick], 'eu');
    expect(pick({})).toBe('node-near');
    const preferences = { ...NO_PREFERENCES, sort: 'latency' as const };
    expect(pick({ preferences, model: MODEL })).toBe('node-quick');
  });
});

test('a version on trial is first for about its share of requests', () => {
  const fleet = [candidate('old', { version: 'w1' }), candidate('new', { version: 'w2' })];
  const { pick } = bookOf(fleet);
  const model = { ...MODEL, canary: { version: 'w2', share: 0.1 } };
  const led = Array.from({ length: 2_000 }, () => pick({ model })).filter(
    (node) => node === 'node-new',
  ).length;
  expect(led).toBeGreaterThan(140);
  expect(led).toBeLessThan(260);
});

test('who lost a link to a request is asked again with it only when nobody else is left', () => {
  const [a, b] = [candidate('a'), candidate('b', { inFlight: 1 })];
  const { book, pick } = bookOf([a, b]);
  expect(pick({})).toBe('node-a');
  book.linkLost(order({}), a.providerId, false);
  expect(pick({})).toBe('node-b');
  b.draining = true;
  expect(pick({})).toBe('node-a');
});

describe('the last try that an order has', () => {
  const fleet = () => [
    candidate('a'),
    candidate('b'),
    candidate('c'),
    candidate('far', { mode: 'external' }),
  ];
  const pick = (
    candidates: Candidate[],
    tried: string[],
    more: Partial<Order> = {},
    last = true,
  ): unknown => {
    const picked = bookOf(candidates).book.pick({ ...order({}), ...more }, new Set(tried), last);
    return 'candidate' in picked ? picked.candidate.nodeId : picked;
  };

  test('goes to the external endpoint, though agents are left', () => {
    expect(pick(fleet(), ['provider-a'], {}, false)).not.toBe('node-far');
    expect(pick(fleet(), ['provider-a'])).toBe('node-far');
  });

  test('goes to an agent where the endpoint was tried, is ill, full, too dear, or not in the plan', () => {
    const changed = (over: Partial<Candidate>) =>
      fleet().map((one) => (one.mode === 'external' ? Object.assign(one, over) : one));
    const tried = ['provider-a', 'provider-b'];
    expect(pick(fleet(), [...tried, 'provider-far'])).toBe('node-c');
    expect(pick(changed({ health: 'unhealthy' }), tried)).toBe('node-c');
    expect(pick(changed({ inFlight: 8 }), tried)).toBe('node-c');
    const failing = { ...newBreaker(), state: 'open', openUntilMs: 5_000 } as const;
    expect(pick(changed({ breaker: failing }), tried)).toBe('node-c');
    const dear = { id: 'ask_1', unit: 'token', inputPico: 2n, outputPico: 2n } as const;
    expect(pick(changed({ ask: dear }), tried, { price: MODEL.price })).toBe('node-c');
    expect(pick(fleet(), tried, { agentsOnly: true })).toBe('node-c');
  });

  test('goes to whom the consumer named, and to nobody whom it ruled out', () => {
    const wish = (preferences: object) => ({
      wish: { preferences: { ...NO_PREFERENCES, ...preferences }, model: MODEL },
    });
    const tried = ['provider-a', 'provider-b'];
    expect(pick(fleet(), tried, wish({ order: ['a', 'b', 'c'] }))).toBe('node-c');
    expect(pick(fleet(), tried, wish({ order: ['a', 'b'] }))).toBe('node-far');
    expect(pick(fleet(), tried, wish({ ignore: ['far'] }))).toBe('node-c');
  });
});

describe('prices', () => {
  const ask = (inputPico: bigint, outputPico: bigint) =>
    ({ id: `ask_${inputPico}`, unit: 'token', inputPico, outputPico }) as const;
  const listed = {
    ...MODEL,
    price: { id: 'price_1', unit: 'token', inputPico: 10n, outputPico: 20n },
  } as const;
  const pick = (fleet: Candidate[], preferences: object = {}): unknown => {
    const wish = { preferences: { ...NO_PREFERENCES, ...preferences }, model: listed };
    const picked = bookOf(fleet).book.pick({ ...order(wish), price: listed.price }, new Set());
    return 'candidate' in picked ? picked.candidate.nodeId : picked;
  };
  const outside = (name: string, wanted: Candidate['ask']) =>
    candidate(name, { mode: 'external', ask: wanted });

  test('among endpoints, sorting by price finds the lowest ask', () => {
    const fleet = [outside('none', null), outside('dear', ask(9n, 19n)), outside('cheap', ask(5n, 10n))];
    expect(pick(fleet, { sort: 'price' })).toBe('node-cheap');
  });

  test('an endpoint that asks less still stands behind an agent, unless the list is above the price limit', () => {
    const fleet = [candidate('agent'), outside('cheap', ask(5n, 10n))];
    expect(pick(fleet, { sort: 'price' })).toBe('node-agent');
    const maxPrice = { prompt: 5n, completion: 10n, request: undefined };
    expect(pick(fleet, { maxPrice })).toBe('node-cheap');
    expect(pick(fleet, { maxPrice: { ...maxPrice, prompt: 4n } })).toMatchObject({ filter: 'max_price' });
    // A tier that pays a quarter more would pay 6.25, rounded up to 7.
    const { book } = bookOf(fleet);
    const dearer = (prompt: bigint) =>
      book.pick(
        {
          ...order({
            preferences: { ...NO_PREFERENCES, maxPrice: { ...maxPrice, prompt, completion: 13n } },
            model: listed,
          }),
          price: listed.price,
          priceFactor: 12_500,
        },
        new Set(),
      );
    expect(dearer(6n)).toMatchObject({ filter: 'max_price' });
    expect(dearer(7n)).toMatchObject({ candidate: { nodeId: 'node-cheap' } });
  });

  test('who asks more than the list is passed over, and nobody is left', () => {
    expect(pick([outside('dear', ask(11n, 0n))])).toEqual({
      none: 'model-without-provider',
      agentsOnly: false,
    });
  });
});
