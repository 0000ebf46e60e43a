import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { COLLATERAL_REQUIRED, coverage, hardwareClass, strongestClass } from '#domain/collateral.ts';
import type { Address } from '#domain/hex.ts';
import { movePledge, NO_PLEDGE, type Pledge, type PledgeMove, REFUND_WAIT_MS } from './pledge.ts';
import { judgeProof, PROOF_PATIENCE_MS } from './proof.ts';
import { SLASH_LADDER, slashAmount, slashStep } from './slash.ts';

const pledge = (more: Partial<Pledge>): Pledge => ({ ...NO_PLEDGE, ...more });
const HOUR = 3_600_000;

test.each<[string, Pledge, PledgeMove, number, Partial<Pledge> | string]>([
  ['a deposit is at work', NO_PLEDGE, { kind: 'deposited', amount: 5n }, 0, { deposited: 5n, locked: 5n }],
  ['nothing is no deposit', NO_PLEDGE, { kind: 'deposited', amount: 0n }, 0, 'amount-missing'],
  [
    'what is asked back waits seven days',
    pledge({ deposited: 5n, locked: 5n }),
    { kind: 'requested', amount: 2n },
    HOUR,
    { locked: 3n, waiting: 2n, refundableAt: HOUR + REFUND_WAIT_MS },
  ],
  [
    'asking for more starts the wait anew for all',
    pledge({ deposited: 5n, locked: 3n, waiting: 2n, refundableAt: 7 }),
    { kind: 'requested', amount: 1n },
    HOUR,
    { locked: 2n, waiting: 3n, refundableAt: HOUR + REFUND_WAIT_MS },
  ],
  [
    'more than is at work cannot be asked back',
    pledge({ deposited: 5n, locked: 5n }),
    { kind: 'requested', amount: 6n },
    0,
    'not-enough-locked',
  ],
  [
    'a moment too early nothing is refunded',
    pledge({ deposited: 2n, waiting: 2n, refundableAt: 100 }),
    { kind: 'refunded' },
    99,
    'still-waiting',
  ],
  [
    'in time all that waits is refunded',
    pledge({ deposited: 5n, locked: 3n, waiting: 2n, refundableAt: 100 }),
    { kind: 'refunded' },
    100,
    { locked: 3n, waiting: 0n, refunded: 2n, refundableAt: undefined },
  ],
  [
    'nothing waits, nothing is refunded',
    pledge({ deposited: 5n, locked: 5n }),
    { kind: 'refunded' },
    9,
    'nothing-waiting',
  ],
  [
    'a slash takes what is at work first',
    pledge({ deposited: 5n, locked: 3n, waiting: 2n, refundableAt: 100 }),
    { kind: 'slashed', amount: 3n },
    0,
    { locked: 0n, waiting: 2n, slashed: 3n, refundableAt: 100 },
  ],
  [
    'a slash overtakes a refund that waits',
    pledge({ deposited: 5n, locked: 3n, waiting: 2n, refundableAt: 100 }),
    { kind: 'slashed', amount: 4n },
    500,
    { locked: 0n, waiting: 1n, slashed: 4n },
  ],
  [
    'a slash takes what is there when that is less',
    pledge({ deposited: 5n, waiting: 2n, slashed: 3n, refundableAt: 100 }),
    { kind: 'slashed', amount: 10n },
    0,
    { waiting: 0n, slashed: 5n, refundableAt: undefined },
  ],
  [
    'nothing is there to slash',
    pledge({ deposited: 5n, refunded: 5n }),
    { kind: 'slashed', amount: 1n },
    0,
    'nothing-to-slash',
  ],
  [
    'what was slashed can be given back, to what is at work',
    pledge({ deposited: 5n, locked: 2n, slashed: 3n }),
    { kind: 'slash-returned', amount: 2n },
    0,
    { locked: 4n, slashed: 1n },
  ],
  [
    'no more is given back than was slashed',
    pledge({ deposited: 5n, locked: 4n, slashed: 1n }),
    { kind: 'slash-returned', amount: 2n },
    0,
    'not-slashed',
  ],
  [
    'what waits can go back to work',
    pledge({ deposited: 5n, locked: 3n, waiting: 2n, refundableAt: 100 }),
    { kind: 'cancelled' },
    0,
    { locked: 5n, waiting: 0n, refundableAt: undefined },
  ],
])('%s', (_promise, before, move, at, after) => {
  const outcome = movePledge(before, move, at);
  expect(outcome).toMatchObject(typeof after === 'string' ? { refused: after } : { pledge: after });
});

test('whatever happens in whatever order, slashed and refunded are never more than deposited', () => {
  const amount = fc.bigInt(0n, 50n);
  const move = fc.oneof(
    fc.record({ kind: fc.constantFrom('deposited', 'requested', 'slashed', 'slash-returned'), amount }),
    fc.record({ kind: fc.constantFrom('cancelled', 'refunded') }),
  ) as fc.Arbitrary<PledgeMove>;
  const step = fc.tuple(move, fc.integer({ min: 0, max: 4 * 86_400_000 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 0;
      let state: Pledge = NO_PLEDGE;
      let askedAt = 0;
      for (const [next, later] of steps) {
        now += later;
        const outcome = movePledge(state, next, now);
        if ('refused' in outcome) continue;
        expect(outcome.amount).toBeGreaterThan(0n);
        expect(next.kind !== 'refunded' || now - askedAt >= REFUND_WAIT_MS).toBe(true);
        if (next.kind === 'requested') askedAt = now;
        state = outcome.pledge;
        const { deposited, locked, waiting, slashed, refunded } = state;
        expect(slashed + refunded).toBeLessThanOrEqual(deposited);
        expect(locked + waiting + slashed + refunded).toBe(deposited);
        for (const part of [locked, waiting, slashed, refunded]) expect(part).toBeGreaterThanOrEqual(0n);
      }
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  [1, 0, false],
  [2, 1_000, false],
  [3, 3_000, true],
  [9, 3_000, true],
])('the failure number %d in a row costs %d basis points', (failures, shareBasisPoints, removes) => {
  expect(slashStep(failures)).toMatchObject({ shareBasisPoints, removes, withholdMs: 24 * HOUR });
});

test.each([
  [100n, 0n, 2, 10n],
  [60n, 40n, 3, 30n],
  [19n, 0n, 2, 1n],
  [1n, 0n, 2, 1n],
  [0n, 0n, 3, 0n],
  [1_000n, 0n, 1, 0n],
])('of %d at work and %d waiting, failure %d takes %d', (locked, waiting, failures, amount) => {
  expect(slashAmount({ locked, waiting }, slashStep(failures, SLASH_LADDER))).toBe(amount);
});

const OWNER: Address = `0x${'aa'.repeat(20)}`;
const OTHER: Address = `0x${'bb'.repeat(20)}`;
const USDC: Address = `0x${'01'.repeat(20)}`;
const deposit = (account: Address, token: Address, received: bigint) => ({
  id: 'x:0',
  account,
  token,
  received,
});

test.each([
  ['absent', { state: 'absent' }, 0, 'pending', 'in no block yet'],
  ['absent for a day', { state: 'absent' }, PROOF_PATIENCE_MS, 'rejected', 'within a day'],
  ['too young', { state: 'shallow', depth: 2 }, 0, 'pending', '2 of 3 confirmations'],
  ['failed', { state: 'failed' }, 0, 'rejected', 'failed'],
  ['to another contract', { state: 'other' }, 0, 'rejected', 'nothing in the collateral contract'],
  [
    "somebody else's",
    { state: 'deposited', deposits: [deposit(OTHER, USDC, 5n)] },
    0,
    'rejected',
    'another account',
  ],
  [
    'in another token',
    { state: 'deposited', deposits: [deposit(OWNER, OTHER, 5n)] },
    0,
    'rejected',
    'that token',
  ],
] as const)('a transaction that is %s is %s', (_what, finding, waitedMs, state, reason) => {
  const about = {
    owner: OWNER,
    assets: [{ asset: 'USDC', token: USDC, decimals: 6 }] as const,
    confirmations: 3,
  };
  const verdict = judgeProof(finding, { ...about, waitedMs });
  expect(verdict).toMatchObject({ state });
  expect((verdict as { reason: string }).reason).toContain(reason);
});

test("of a transaction only the owner's deposits count, added up", () => {
  const deposits = [deposit(OWNER, USDC, 5n), deposit(OTHER, USDC, 100n), deposit(OWNER, USDC, 2n)];
  const assets = [{ asset: 'USDC', token: USDC, decimals: 6 }] as const;
  expect(
    judgeProof({ state: 'deposited', deposits }, { owner: OWNER, assets, confirmations: 3, waitedMs: 0 }),
  ).toEqual({ state: 'confirmed', asset: 'USDC', amount: 7n });
});

test.each([
  ['NVIDIA GeForce RTX 3090', 'standard'],
  ['NVIDIA GeForce RTX 4090', 'advanced'],
  ['A100-SXM4-80GB', 'datacentre'],
  ['NVIDIA H100 80GB HBM3', 'flagship'],
  ['m3_max', 'basic'],
  [undefined, 'basic'],
])('%s is of the class %s', (gpu, expected) => {
  expect(hardwareClass(gpu)).toBe(expected);
});

test('the strongest machine decides, and parts in several assets add up', () => {
  expect(strongestClass(['RTX 3090', 'H100', 'm1'])).toBe('flagship');
  expect(strongestClass([])).toBe('basic');
  const required = COLLATERAL_REQUIRED.basic;
  const half = [
    { asset: 'USDC' as const, locked: 10_000_000n },
    { asset: 'SWAN' as const, locked: 2_500n * 10n ** 18n },
  ];
  expect(coverage(half, required)).toBe(10_000n);
  expect(coverage([{ asset: 'USD' as const, locked: 19_999_999_999_999n }], required)).toBeLessThan(10_000n);
});
