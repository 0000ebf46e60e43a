import { describe, expect, test } from 'vitest';
import type { Model } from '#domain/model.ts';
import { CHAT_ONLY } from '#domain/operation.ts';
import { NO_PREFERENCES } from '#domain/preferences.ts';
import { seededRandomness } from '#kit/random.ts';
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

function bookOf(fleet: Candidate[], region?: string) {
  const clock = new VirtualClock();
  const book = new ServiceBook({
    clock,
    random: seededRandomness(3),
    strategy: leastConnections(),
    candidates: () => fleet,
    region,
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
