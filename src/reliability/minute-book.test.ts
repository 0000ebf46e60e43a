import { describe, expect, test } from 'vitest';
import { usageRecord } from '#support/records.ts';
import { errorRow } from '#wire/errors.ts';
import { MinuteBook } from './minute-book.ts';

const AT = Date.UTC(2026, 10, 20, 12, 0, 30);
const NEXT = AT + 60_000;
const pro = { tier: 'pro', region: 'eu', queueMs: 3 } as const;

function onlyCell(book: MinuteBook) {
  const minutes = book.takeClosed(NEXT);
  expect(minutes.flatMap(({ cells }) => cells)).toHaveLength(1);
  return (minutes[0] as (typeof minutes)[0]).cells[0];
}

describe('what a request leaves', () => {
  const table: [string, Parameters<typeof usageRecord>[0], Record<string, unknown>][] = [
    ['a whole answer', {}, { requests: 1, failures: 0, ttft: [13], ttlt256: [340], generationMs: 327.75 }],
    ['a longer one is compared with its like', { outputTokens: 300 }, { ttlt256: [], ttlt512: [340] }],
    ['one that is longer than all has no peers', { outputTokens: 600 }, { ttlt256: [], ttlt512: [] }],
    [
      'a stream that broke',
      { outcome: 'broken', errorCode: 'provider-cut-off', charge: 0n },
      { requests: 1, failures: 1, disconnects: 1, ttlt256: [] },
    ],
    [
      'a client that left is no failure',
      { outcome: 'cancelled', errorCode: 'client-left' },
      { requests: 1, failures: 0, cancelled: 1, ttlt256: [] },
    ],
    ['a second try', { attempts: 3 }, { retries: 2 }],
    ['an external endpoint', { mode: 'external' }, { fallbacks: 1, mode: 'external' }],
  ];
  test.each(table)('%s', (_, record, expected) => {
    const book = new MinuteBook(errorRow);
    book.served(usageRecord({ at: AT, ...record }), pro);
    expect(onlyCell(book)).toMatchObject({
      modelId: 'cygnet/cygnet-nano',
      region: 'eu',
      queue: [3],
      ...expected,
    });
  });

  test('a refusal for want of providers is a failure, one for too many requests is counted apart', () => {
    const book = new MinuteBook(errorRow);
    book.refused(AT, { modelId: 'm', tier: 'hobby', code: 'model-without-provider' });
    book.refused(AT, { modelId: 'm', tier: 'hobby', code: 'rate-limited' });
    expect(onlyCell(book)).toMatchObject({ requests: 1, failures: 1, tooMany: 1, tier: 'hobby' });
  });

  test("a caller's own mistake says nothing of the service", () => {
    const book = new MinuteBook(errorRow);
    for (const code of ['balance-short', 'request-invalid', 'prompt-too-long']) {
      book.refused(AT, { modelId: 'm', tier: 'pro', code });
    }
    expect(onlyCell(book)).toMatchObject({ requests: 0, failures: 0, tooMany: 0 });
  });
});

describe('minutes', () => {
  test('the running one stays, a closed one is handed out once', () => {
    const book = new MinuteBook(errorRow);
    book.served(usageRecord({ at: AT }), pro);
    expect(book.takeClosed(AT + 1_000)).toEqual([]);
    expect(book.takeClosed(NEXT).map(({ minute }) => minute)).toEqual([Math.floor(AT / 60_000)]);
    expect(book.takeClosed(NEXT)).toEqual([]);
  });

  test('what could not be kept comes again, before what came later', () => {
    const book = new MinuteBook(errorRow);
    book.served(usageRecord({ at: AT }), pro);
    const taken = book.takeClosed(NEXT);
    book.served(usageRecord({ at: NEXT }), pro);
    book.putBack(taken);
    expect(book.takeClosed(NEXT + 60_000).map(({ minute }) => minute)).toEqual([
      Math.floor(AT / 60_000),
      Math.floor(NEXT / 60_000),
    ]);
  });

  test('the end of the process leaves none behind', () => {
    const book = new MinuteBook(errorRow);
    book.served(usageRecord({ at: AT }), pro);
    expect(book.takeAll()).toHaveLength(1);
    expect(book.takeAll()).toEqual([]);
  });

  test('a clock that goes back loses nothing', () => {
    const book = new MinuteBook(errorRow);
    book.served(usageRecord({ at: AT }), pro);
    book.served(usageRecord({ at: AT - 3_600_000 }), pro);
    expect(onlyCell(book)).toMatchObject({ requests: 2 });
  });

  test('made-up names cannot fill the memory: the groups of a minute are bounded, and nothing goes uncounted', () => {
    const book = new MinuteBook(errorRow);
    for (let i = 0; i < 6_000; i++) {
      book.served(usageRecord({ at: AT, providerId: `prov_${i}` }), { tier: 'pro', region: null });
    }
    const cells = book.takeClosed(NEXT).flatMap((each) => each.cells);
    expect(cells).toHaveLength(5_001);
    expect(cells.reduce((sum, { requests }) => sum + requests, 0)).toBe(6_000);
    expect(cells.at(-1)).toMatchObject({ modelId: 'other', requests: 1_000 });
  });
});
