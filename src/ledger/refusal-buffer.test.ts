import { expect, test } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { refusalMaker } from '#support/refusals.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { REFUSAL_BOUNDS, RefusalBuffer } from './refusal-buffer.ts';

const clock = new VirtualClock();
const refusal = refusalMaker(clock);
const SMALL = {
  rowsMax: 10,
  bytesMax: 1_000_000,
  eachMax: 6,
  eachBurst: 4,
  eachPerS: 1,
  allBurst: 100,
  allPerS: 10,
};

test('a consumer that is refused 100,000 times has its share of rows, and everybody else has theirs', () => {
  const buffer = new RefusalBuffer();
  for (let i = 0; i < 100_000; i++) buffer.note(refusal(), 0);
  buffer.note(refusal({ consumerId: 'con_2' }), 0);
  expect(buffer.counts()).toEqual({
    written: 0,
    waiting: REFUSAL_BOUNDS.eachBurst + 1,
    overRate: 100_000 - REFUSAL_BOUNDS.eachBurst,
    overRateOfAll: 0,
    noRoom: 0,
    notStored: 0,
  });
  expect(buffer.oldest(1_000).at(-1)).toMatchObject({ consumerId: 'con_2' });
});

test('a burst that was used comes back evenly', () => {
  const buffer = new RefusalBuffer(SMALL);
  const fits = (nowMs: number): number => {
    const before = buffer.counts().waiting;
    for (let i = 0; i < 20; i++) buffer.note(refusal(), nowMs);
    const rows = buffer.oldest(100);
    buffer.settle(rows, 'written');
    return rows.length - before;
  };
  expect([0, 999, 1_000, 1_000, 3_000, 60_000].map(fits)).toEqual([4, 0, 1, 0, 2, 4]);
});

test('all consumers together have a rate, too, whatever each has left', () => {
  const buffer = new RefusalBuffer({ ...SMALL, allBurst: 5 });
  for (let i = 0; i < 8; i++) buffer.note(refusal({ consumerId: `con_${i}` }), 0);
  expect(buffer.counts()).toMatchObject({ waiting: 5, overRateOfAll: 3 });
});

test.each([
  ['rows', { rowsMax: 3 }],
  ['bytes', { bytesMax: 3 * 426 + 10 }],
  ['rows of one consumer', { eachMax: 3 }],
])('no more %s wait than there is room for; when they are written there is room again', (_what, bounds) => {
  const buffer = new RefusalBuffer({ ...SMALL, eachBurst: 100, ...bounds });
  for (let i = 0; i < 5; i++) buffer.note(refusal(), 0);
  expect(buffer.counts()).toMatchObject({ waiting: 3, noRoom: 2 });
  buffer.settle(buffer.oldest(2), 'written');
  for (let i = 0; i < 5; i++) buffer.note(refusal(), 0);
  expect(buffer.counts()).toMatchObject({ written: 2, waiting: 3, noRoom: 5 });
});

test('a request that is noted twice waits once, and settling it twice counts once', () => {
  const buffer = new RefusalBuffer(SMALL);
  const one = refusal();
  buffer.note(one, 0);
  buffer.note(one, 0);
  expect(buffer.counts()).toMatchObject({ waiting: 1, overRate: 0, noRoom: 0 });
  buffer.settle([one], 'written');
  buffer.settle([one], 'written');
  expect(buffer.counts()).toMatchObject({ waiting: 0, written: 1 });
});

test('what was noted is always the sum of what is said to have become of it, and consumers are forgotten in the end', () => {
  const random = seededRandomness(7);
  const draw = (below: number): number => random.bytes(4).readUInt32LE() % below;
  const buffer = new RefusalBuffer(SMALL);
  const wrong: object[] = [];
  let noted = 0;
  let nowMs = 0;
  for (let step = 0; step < 20_000; step++) {
    nowMs += draw(300);
    const kind = draw(10);
    if (kind === 0) buffer.settle(buffer.oldest(draw(5)), draw(4) === 0 ? 'notStored' : 'written');
    else if (kind === 1) buffer.sweep(nowMs);
    else {
      noted += 1;
      buffer.note(refusal({ consumerId: `con_${draw(30)}` }), nowMs);
    }
    const counts = buffer.counts();
    const sum = Object.values(counts).reduce((all, each) => all + each, 0);
    if (sum !== noted || counts.waiting > SMALL.rowsMax) wrong.push({ step, noted, counts });
  }
  expect(wrong).toEqual([]);
  buffer.settle(buffer.oldest(100), 'written');
  buffer.sweep(nowMs + 60_000);
  expect(buffer.consumers).toBe(0);
});
