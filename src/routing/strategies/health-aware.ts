import type { Candidate } from '../candidate.ts';
import { successAt } from '../score.ts';
import { loadOf, roomy, type Strategy } from './strategy.ts';

/** What each part is worth at most. Explained in `docs/routing.md`, which a test compares with these figures. */
export const WEIGHTS = {
  /** Success rate, 0 to 1, drawn to neutral by silence. */
  success: 0.45,
  /** Free room, 0 to 1. */
  room: 0.3,
  /** The best time to first token over this one's, 0 to 1. */
  speed: 0.2,
  /** At least 48 GB of GPU memory. */
  memory: 0.05,
  /** Taken off: how often this provider claimed more than we counted. */
  overclaim: 0.3,
} as const;

/** The speed of a candidate whose time to first token is not known yet. */
const UNKNOWN_SPEED = 0.5;
/** A new link counts as smaller than it is for this long, so that a newcomer's emptiness does not draw everything. */
export const SLOW_START_MS = 30_000;
/** The part of its capacity that a link counts with at first. */
const SLOW_START_FROM = 0.1;

/** The default: reliable, fast, idle and honest candidates first. */
export function healthAware(): Strategy {
  return { name: 'health-aware', score: healthScore, ofPart: true };
}

function healthScore(candidate: Candidate, nowMs: number, bestTtftMs: number): number {
  const { record } = candidate;
  let load = loadOf(candidate);
  const age = nowMs - candidate.connectedAtMs;
  if (age < SLOW_START_MS)
    load /= SLOW_START_FROM + (1 - SLOW_START_FROM) * (age > 0 ? age / SLOW_START_MS : 0);
  const room = load < 1 ? 1 - load : 0;
  // The best may be 0 ms: a candidate as fast as the best has full speed whatever the quotient says.
  const ttftMs = record.ttftMs;
  const speed = ttftMs === null ? UNKNOWN_SPEED : ttftMs > bestTtftMs ? bestTtftMs / ttftMs : 1;
  return (
    WEIGHTS.success * successAt(record, nowMs) +
    WEIGHTS.room * room +
    WEIGHTS.speed * speed +
    WEIGHTS.memory * roomy(candidate) -
    WEIGHTS.overclaim * record.overclaim
  );
}
