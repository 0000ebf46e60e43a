import type { Candidate } from '../candidate.ts';
import { loadOf, roomy, type Strategy } from './strategy.ts';

/** Far less than one attempt of any capacity: memory decides between equal loads only. */
const MEMORY_WEIGHT = 1e-9;

/** The least loaded first, relative to capacity. */
export function leastConnections(): Strategy {
  return {
    name: 'least-connections',
    score: (candidate: Candidate) => MEMORY_WEIGHT * roomy(candidate) - loadOf(candidate),
  };
}
