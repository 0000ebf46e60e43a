import type { Candidate } from '../candidate.ts';

/**
 * How candidates that may serve are put in order. Before any strategy's score counts: agents before external endpoints,
 * and healthy before degraded (`routing/choose.ts`). After it: chance.
 */
export interface Strategy {
  readonly name: string;
  /**
   * How good a choice `candidate` is; the greatest goes first. Asked for every candidate of every request, so it
   * allocates nothing. `bestTtftMs` is the shortest known time to first token among those that may serve (Infinity when
   * none is known); `nowMs` is monotonic.
   */
  score(candidate: Candidate, nowMs: number, bestTtftMs: number): number;
  /** The best of a part will do where there are very many: its score is an estimate, and no order that somebody asked for. */
  readonly ofPart?: boolean;
  /** Told which candidate goes first. */
  chosen?(candidate: Candidate): void;
}

/** GPU memory from which a candidate is preferred to an equal one, in GB. */
const ROOMY_VRAM_GB = 48;

/** 1 for a candidate with the memory that is preferred, 0 for others and for unknown. */
export function roomy(candidate: Candidate): number {
  return candidate.vramGb !== null && candidate.vramGb >= ROOMY_VRAM_GB ? 1 : 0;
}

/** Attempts under way over the most allowed, of the model or of the link, whichever is fuller. 0 to 1. */
export function loadOf(candidate: Candidate): number {
  const { inFlight, capacity, linkInFlight, linkCapacity } = candidate;
  // Compared by multiplying: a division is the dearest thing here.
  return inFlight * linkCapacity > linkInFlight * capacity
    ? inFlight / capacity
    : linkInFlight / linkCapacity;
}
