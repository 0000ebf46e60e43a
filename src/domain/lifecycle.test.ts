import { describe, expect, it, test } from 'vitest';
import {
  approvedState,
  firstState,
  type LifeFacts,
  type LifeTerms,
  NO_BENCHMARK,
  nextMove,
} from './lifecycle.ts';

const OPEN: LifeTerms = { approval: 'automatic', demandsCollateral: false, demandsBenchmark: false };
const STRICT: LifeTerms = { approval: 'operator', demandsCollateral: true, demandsBenchmark: true };

test.each([
  ['a market that demands nothing', OPEN, 'active'],
  ['one that demands a benchmark', { ...OPEN, demandsBenchmark: true }, 'approved'],
  ['one that demands collateral', { ...OPEN, demandsCollateral: true }, 'approved'],
  ['one whose operator approves', { ...OPEN, approval: 'operator' }, 'pending'],
  ['one that demands everything', STRICT, 'pending'],
] as const)('in %s a provider begins where it should', (_what, terms, state) => {
  expect(firstState(terms)).toBe(state);
});

describe('a provider goes on by itself', () => {
  const facts: LifeFacts = { state: 'approved', reason: '', collateralEnough: false, benchmark: 'unknown' };
  it.each<[string, Partial<LifeFacts>, LifeTerms, string | undefined]>([
    ['nobody approved it', { state: 'under_review' }, STRICT, undefined],
    ['approval is automatic by now', { state: 'pending' }, { ...STRICT, approval: 'automatic' }, 'approved'],
    ['collateral is missing', {}, STRICT, undefined],
    ['collateral is there', { collateralEnough: true }, STRICT, 'activating'],
    ['no collateral is asked for', {}, { ...STRICT, demandsCollateral: false }, 'activating'],
    ['the benchmark is missing', { state: 'activating', collateralEnough: true }, STRICT, undefined],
    [
      'the benchmark was failed',
      { state: 'activating', collateralEnough: true, benchmark: 'failing' },
      STRICT,
      undefined,
    ],
    [
      'the benchmark was passed and the collateral left meanwhile',
      { state: 'activating', benchmark: 'passed' },
      STRICT,
      undefined,
    ],
    [
      'everything is there',
      { state: 'activating', collateralEnough: true, benchmark: 'passed' },
      STRICT,
      'active',
    ],
    ['nothing is demanded', { state: 'activating' }, OPEN, 'active'],
    ['it is active and was not asked yet', { state: 'active' }, STRICT, undefined],
    ['it is active and fails', { state: 'active', benchmark: 'failing' }, STRICT, 'suspended'],
    ['it fails where benchmarks are watched', { state: 'active', benchmark: 'failing' }, OPEN, undefined],
    [
      'it was suspended for it and passes',
      { state: 'suspended', reason: NO_BENCHMARK, benchmark: 'passed', collateralEnough: true },
      STRICT,
      'active',
    ],
    [
      'the operator suspended it',
      { state: 'suspended', reason: 'Complaints.', benchmark: 'passed', collateralEnough: true },
      STRICT,
      undefined,
    ],
    ['it was removed', { state: 'removed', benchmark: 'passed', collateralEnough: true }, OPEN, undefined],
  ])('where %s', (_what, over, terms, to) => {
    expect(nextMove({ ...facts, ...over }, terms)?.to).toBe(to);
  });
});

test.each([
  ['under_review', STRICT, 'approved'],
  ['pending', OPEN, 'active'],
  ['approved', STRICT, 'active'],
  ['suspended', STRICT, 'active'],
] as const)('approved by hand, one that is %s goes on to where it may', (from, terms, to) => {
  expect(approvedState(from, terms)).toBe(to);
});
