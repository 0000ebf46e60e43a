import type { Pico } from '#domain/money.ts';
import type { Collateral, SlashedTokens } from '#funds/collateral.ts';
import { Fault } from '#kit/fault.ts';
import { findingOf } from './sampler.ts';
import type { BenchmarkStore } from './store.ts';

export interface Decided {
  readonly decision: 'granted' | 'rejected';
  /** Decided before, in the same way. */
  readonly known: boolean;
  /** What went back to the pledge. */
  readonly dollars: Pico;
  /** What the contract took, for the operator to pay back. */
  readonly tokens: readonly SlashedTokens[];
}

/**
 * Decides what a failed run comes to. Granted: it is set aside, so that it is no step of the ladder any more, and what it
 * took is given back by a new entry. Once decided it stays so; the same decision again does what is left to do of it.
 * That a provider was removed stays: `removed` is final for a key, and its owner may sign up anew.
 * Throws `thing-unknown`, and `conflict` for a run that was passed or was decided otherwise.
 */
export async function decideAppeal(
  parts: { store: BenchmarkStore; collateral: Pick<Collateral, 'giveBack'> },
  appeal: Parameters<BenchmarkStore['decide']>[0],
): Promise<Decided> {
  const answer = await parts.store.decide(appeal);
  if (answer === 'unknown') throw new Fault('thing-unknown', { outer: 'There is no such benchmark run.' });
  if (answer === 'passed') {
    throw new Fault('conflict', { outer: 'This run was passed: there is nothing to appeal.' });
  }
  if (typeof answer === 'object') {
    throw new Fault('conflict', { outer: `The appeal was ${answer.decidedAs} before.` });
  }
  const { decision } = appeal;
  const back = decision === 'granted' ? await parts.collateral.giveBack(findingOf(appeal.runId)) : undefined;
  return { decision, known: answer === 'known', dollars: back?.dollars ?? 0n, tokens: back?.tokens ?? [] };
}
