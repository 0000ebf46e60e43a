import type { Candidate } from '../candidate.ts';
import { roomy, type Strategy } from './strategy.ts';

/** Turns are whole numbers: memory decides between candidates that waited equally long only. */
const MEMORY_WEIGHT = 0.5;

/**
 * Who waited longest goes first. Turns, not a position in the list: lists change, and the neighbour of a candidate that
 * may not serve would get its share on top of its own.
 */
export function roundRobin(): Strategy {
  // Weak, so that whoever leaves is forgotten.
  const lastTurn = new WeakMap<Candidate, number>();
  let turn = 0;
  return {
    name: 'round-robin',
    score: (candidate) => MEMORY_WEIGHT * roomy(candidate) - (lastTurn.get(candidate) ?? 0),
    chosen(candidate) {
      turn += 1;
      lastTurn.set(candidate, turn);
    },
  };
}
