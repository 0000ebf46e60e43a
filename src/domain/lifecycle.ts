import type { ProviderState } from './party.ts';

/**
 * A provider's way in, as a rule: where it goes next by itself, and why. `pending → under_review → approved → activating →
 * active`. What an operator decides is not here; what a market demands before `active` (collateral, a passed benchmark) is
 * looked at one after the other, so that the state says what is missing: `approved` waits for collateral, `activating`
 * for the benchmark.
 */
export interface LifeTerms {
  readonly approval: 'automatic' | 'operator';
  readonly demandsCollateral: boolean;
  readonly demandsBenchmark: boolean;
}

export interface LifeFacts {
  readonly state: ProviderState;
  /** Why it is in this state. */
  readonly reason: string;
  readonly collateralEnough: boolean;
  /**
   * `passed`: a node may serve a model. `failing`: some were asked, and none may. `unknown`: none was asked yet.
   */
  readonly benchmark: 'passed' | 'failing' | 'unknown';
}

export interface LifeMove {
  readonly to: ProviderState;
  readonly reason: string;
}

/** How a suspension for want of a benchmark is told from the operator's: only this one ends by itself. */
export const NO_BENCHMARK = 'No benchmark is passed: the next one comes by itself.';
const COLLATERAL_THERE = 'Approved, and collateral is there as far as it is needed.';

/** The state in which a new provider begins. */
export function firstState(terms: LifeTerms): ProviderState {
  if (terms.approval === 'operator') return 'pending';
  return terms.demandsCollateral || terms.demandsBenchmark ? 'approved' : 'active';
}

/** Where an operator's approval leads. An end of a suspension is one as well. */
export function approvedState(from: ProviderState, terms: LifeTerms): ProviderState {
  const demands = terms.demandsCollateral || terms.demandsBenchmark;
  return demands && (from === 'pending' || from === 'under_review') ? 'approved' : 'active';
}

/** Where a provider goes by itself now; undefined when it stays. */
export function nextMove(facts: LifeFacts, terms: LifeTerms): LifeMove | undefined {
  const collateral = !terms.demandsCollateral || facts.collateralEnough;
  const benchmark = !terms.demandsBenchmark || facts.benchmark === 'passed';
  switch (facts.state) {
    case 'pending':
    case 'under_review':
      return terms.approval === 'automatic' ? { to: 'approved', reason: '' } : undefined;
    case 'approved':
      return collateral ? { to: 'activating', reason: COLLATERAL_THERE } : undefined;
    case 'activating':
      return collateral && benchmark ? { to: 'active', reason: '' } : undefined;
    case 'active':
      return terms.demandsBenchmark && facts.benchmark === 'failing'
        ? { to: 'suspended', reason: NO_BENCHMARK }
        : undefined;
    case 'suspended':
      return facts.reason === NO_BENCHMARK && benchmark && collateral
        ? { to: 'active', reason: '' }
        : undefined;
    default:
      return undefined;
  }
}
