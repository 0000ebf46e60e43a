import * as fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { MemoryLedger } from '#support/memory-ledger.ts';
import { usageOf } from '#support/records.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import { Holds, type Reserved } from './holds.ts';

let clock: VirtualClock;
let ledger: MemoryLedger;
let holds: Holds;

const open = (instance: string, exposureMax?: bigint): Holds => {
  const made = new Holds({
    store: ledger.leasesOf(instance),
    clock,
    log: silentLog,
    ...(exposureMax === undefined ? {} : { exposureMax }),
  });
  ledger.hearRecalls(instance, (consumerId) => made.recalled(consumerId));
  return made;
};
/** Waits for an answer while time goes on. */
const answered = async (asked: true | Promise<Reserved>): Promise<Reserved> => {
  const replies: Reserved[] = [];
  const asking = (async () => void replies.push(await asked))();
  for (let i = 0; i < 100 && replies.length === 0; i++) await clock.advance(50);
  if (replies.length === 0) throw new Error('No answer within five seconds.');
  await asking;
  return replies[0] as Reserved;
};

beforeEach(async () => {
  clock = new VirtualClock();
  ledger = new MemoryLedger(clock);
  await ledger.grant('c', 1_000_000n, 'g');
  holds = open('a');
});

describe('reserving', () => {
  test('asks the store once and is then a matter of memory', async () => {
    expect(await answered(holds.reserve('c', 100n))).toBe(true);
    for (let i = 0; i < 30; i++) expect(holds.reserve('c', 100n)).toBe(true);
    expect(holds.totals().reserved).toBe(3_100n);
  });

  test('fills the purse before it runs short, without anybody waiting', async () => {
    await answered(holds.reserve('c', 100n));
    for (let i = 0; i < 500; i++) {
      expect(holds.reserve('c', 100n)).toBe(true);
      if (i % 20 === 0) await clock.advance(100);
    }
  });

  test('refuses what the balance does not cover, at once', async () => {
    const asked = holds.reserve('c', 1_000_001n);
    await settlePromises();
    expect(await asked).toBe('short');
    expect(await answered(holds.reserve('nobody', 1n))).toBe('short');
  });

  test('serves many that wait together with few questions, and no more of them than the balance covers', async () => {
    await ledger.grant('d', 10n, 'd');
    const replies = await Promise.all(Array.from({ length: 50 }, () => answered(holds.reserve('d', 3n))));
    expect(replies.filter((reply) => reply === true)).toHaveLength(3);
    expect(replies.filter((reply) => reply === 'short')).toHaveLength(47);
  });

  test('is served by what another request frees while it waits', async () => {
    await ledger.grant('d', 10n, 'd');
    await answered(holds.reserve('d', 10n));
    ledger.latencyMs = 50;
    const asked = holds.reserve('d', 5n);
    holds.release('d', 10n);
    expect(await answered(asked)).toBe(true);
  });

  test('never promises again what was charged, and promises again what was not', async () => {
    await ledger.grant('d', 100n, 'd');
    expect(await answered(holds.reserve('d', 100n))).toBe(true);
    holds.settle('d', 100n, 60n);
    expect(await answered(holds.reserve('d', 41n))).toBe('short');
    expect(await answered(holds.reserve('d', 40n))).toBe(true);
  });

  test('gives back no more than the charges leave, so that every charge finds its lease', async () => {
    expect(await answered(holds.reserve('c', 100n))).toBe(true);
    holds.settle('c', 100n, 70n);
    await clock.advance(7_000);
    expect((await ledger.balance('c')).held).toBe(70n);
    await ledger.postingOf('a').post([usageOf({ id: 'req_c', consumerId: 'c', charge: 70n })]);
    expect(ledger.rejected.size).toBe(0);
    expect(await ledger.balance('c')).toEqual({ total: 999_930n, held: 0n, available: 999_930n });
  });

  test('uses a balance to its last pico-dollar', async () => {
    await ledger.grant('d', 7n, 'd');
    for (let i = 0; i < 7; i++) expect(await answered(holds.reserve('d', 1n))).toBe(true);
    expect(await answered(holds.reserve('d', 1n))).toBe('short');
  });
});

describe('when the store is away', () => {
  test('the lease still serves, and only beyond it the answer is unavailable', async () => {
    await answered(holds.reserve('c', 100n));
    ledger.down = true;
    let served = 0;
    while (holds.reserve('c', 100n) === true) served += 1;
    expect(served).toBeGreaterThan(50);
    expect(await answered(holds.reserve('c', 100n))).toBe('unavailable');
    ledger.down = false;
    expect(await answered(holds.reserve('c', 100n))).toBe(true);
  });

  test('once it is back, it is asked to settle what it was not heard to do', async () => {
    const asked: bigint[] = [];
    const store = ledger.leasesOf('z');
    const giveBack = store.giveBack.bind(store);
    store.giveBack = (consumerId, amount) => {
      asked.push(amount);
      return giveBack(consumerId, amount);
    };
    holds = new Holds({ store, clock, log: silentLog });
    ledger.down = true;
    expect(await answered(holds.reserve('c', 100n))).toBe('unavailable');
    await clock.advance(2_000);
    ledger.down = false;
    await clock.advance(2_000);
    expect(asked.at(-1)).toBe(0n);
    const times = asked.length;
    await clock.advance(10_000);
    expect(asked).toHaveLength(times);
    expect(holds.totals().purses).toBe(0);
  });

  test('a store that stands still keeps nobody longer than two seconds, and its late answer counts', async () => {
    ledger.latencyMs = 30_000;
    const asked = holds.reserve('c', 100n);
    await clock.advance(2_000);
    expect(await asked).toBe('unavailable');
    await clock.advance(10);
    expect(await holds.reserve('c', 100n)).toBe('unavailable');
    ledger.latencyMs = 0;
    await clock.advance(28_000);
    expect(ledger.differences()).toEqual([]);
    // Idle since: everything the late answer brought has gone back.
    await clock.advance(10_000);
    expect((await ledger.balance('c')).held).toBe(0n);
  });
});

describe('how much is set aside', () => {
  test('is bounded by the exposure that the operator allows', async () => {
    holds = open('b', 1_000n);
    await answered(holds.reserve('c', 100n));
    for (let i = 0; i < 5; i++) await clock.advance(1_000);
    expect(holds.totals().granted).toBeLessThanOrEqual(1_100n);
  });

  test('but a request that needs more than that is still served', async () => {
    holds = open('b', 1_000n);
    expect(await answered(holds.reserve('c', 5_000n))).toBe(true);
  });

  test('goes back after five idle seconds, but never what is promised', async () => {
    await answered(holds.reserve('c', 100n));
    await clock.advance(7_000);
    expect((await ledger.balance('c')).held).toBe(100n);
    expect(holds.totals()).toEqual({ purses: 1, granted: 100n, reserved: 100n });
    holds.release('c', 100n);
    await clock.advance(13_000);
    expect((await ledger.balance('c')).held).toBe(0n);
    expect(holds.totals().purses).toBe(0);
  });

  test('follows recent spending', async () => {
    for (let i = 0; i < 100; i++) {
      expect(await answered(holds.reserve('c', 1_000n))).toBe(true);
      holds.settle('c', 1_000n, 1_000n);
    }
    expect(await answered(holds.reserve('c', 1n))).toBe(true);
    await clock.advance(1_000);
    expect(holds.totals().granted).toBeGreaterThan(64n);
  });

  test('after ten seconds of steady spending, lasts through thirty seconds without the store', async () => {
    await ledger.grant('c', 10n ** 9n, 'more');
    const spendFor = async (seconds: number): Promise<number> => {
      let refused = 0;
      for (let i = 0; i < seconds * 50; i++) {
        const reply = holds.reserve('c', 1_000n);
        if (reply === true || (!ledger.down && (await answered(reply)) === true))
          holds.settle('c', 1_000n, 700n);
        else refused += 1;
        await clock.advance(20);
      }
      return refused;
    };
    // Idle first, but not for long enough to lose the purse: that must not count as thrift.
    expect(await spendFor(1)).toBe(0);
    await clock.advance(4_000);
    expect(await spendFor(10)).toBe(0);
    ledger.down = true;
    expect(await spendFor(30)).toBe(0);
  });

  test('is given back when the process closes', async () => {
    await answered(holds.reserve('c', 100n));
    holds.release('c', 100n);
    await holds.close();
    expect((await ledger.balance('c')).held).toBe(0n);
    expect(await holds.reserve('c', 1n)).toBe('unavailable');
  });
});

describe('two processes', () => {
  test('one gets what lies unused in the other, within a quarter of a second', async () => {
    const other = open('b');
    await ledger.grant('d', 100n, 'd');
    await answered(holds.reserve('d', 60n));
    holds.release('d', 60n);
    const from = clock.nowMs();
    const asked = other.reserve('d', 90n);
    await clock.advance(250);
    expect(await asked).toBe(true);
    expect(clock.nowMs() - from).toBeLessThanOrEqual(250);
  });

  test('what the other has promised is not taken from it', async () => {
    const other = open('b');
    await ledger.grant('d', 100n, 'd');
    await answered(holds.reserve('d', 60n));
    expect(await answered(other.reserve('d', 41n))).toBe('short');
    holds.settle('d', 60n, 60n);
    expect(ledger.differences()).toEqual([]);
  });
});

describe('misuse is a bug, not a refusal', () => {
  test('a charge above its reservation, and a settlement of nothing', async () => {
    await answered(holds.reserve('c', 100n));
    expect(() => holds.settle('c', 100n, 101n)).toThrow(/at most its reservation/);
    expect(() => holds.settle('c', 101n, 0n)).toThrow(/is reserved/);
    expect(() => holds.release('stranger', 1n)).toThrow(/is reserved/);
  });
});

test('whatever happens in whatever order, two processes never promise more than the balance', async () => {
  const step = fc.record({
    who: fc.integer({ min: 0, max: 1 }),
    act: fc.constantFrom('reserve', 'settle', 'release', 'recall', 'wait', 'outage'),
    size: fc.bigInt({ min: 1n, max: 40n }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.bigInt({ min: 1n, max: 200n }),
      async (steps, balance) => {
        clock = new VirtualClock();
        ledger = new MemoryLedger(clock);
        await ledger.grant('c', balance, 'g');
        const parts = [open('a'), open('b')];
        const promised: bigint[][] = [[], []];
        let charged = 0n;
        for (const { who, act, size } of steps) {
          const part = parts[who] as Holds;
          const mine = promised[who] as bigint[];
          if (act === 'reserve') {
            const asked = part.reserve('c', size);
            if (asked === true) mine.push(size);
            else void asked.then((reply) => reply === true && mine.push(size));
          } else if (act === 'recall') {
            part.recalled('c');
          } else if (act === 'outage') {
            ledger.down = !ledger.down;
          } else if (act === 'wait') {
            await clock.advance(Number(size) * 40);
          } else {
            const reserved = mine.pop();
            if (reserved !== undefined) {
              const charge = act === 'settle' && size < reserved ? size : 0n;
              part.settle('c', reserved, charge);
              charged += charge;
            }
          }
          await settlePromises();
          const all = promised.flat().reduce((sum, amount) => sum + amount, 0n);
          expect(all + charged).toBeLessThanOrEqual(balance);
          for (const { granted, reserved } of parts.map((each) => each.totals()))
            expect(reserved <= granted).toBe(true);
          const granted = parts.reduce((sum, each) => sum + each.totals().granted, 0n);
          expect(granted + charged).toBeLessThanOrEqual(balance);
        }
      },
    ),
    { numRuns: 60 },
  );
});
