import type { Randomness } from '#kit/random.ts';
import type { Breaker, Candidate, ServiceRecord } from './candidate.ts';
import { noteOutcome } from './score.ts';

/**
 * The circuit of one candidate (a model on a link). Closed, requests flow. Five failures in a row, or a success rate
 * below a half, open it: nothing is sent for a while. Then one request at a time is a trial (half-open); a trial that
 * succeeds closes the circuit, one that fails opens it for twice as long.
 *
 * An attempt is bracketed by `beginAttempt` and `endAttempt`. Both move the record they are given and touch nothing
 * else: time, chance and the state of the fleet are handed in.
 */

const FAILURES_TO_OPEN = 5;
const SUCCESS_TO_STAY_CLOSED = 0.5;
/** The success rate opens nothing before this many outcomes. */
const OUTCOMES_TO_JUDGE = 10;
export const FIRST_OPENING_MS = 5_000;
export const LONGEST_OPENING_MS = 300_000;
/** For each such while without an opening, the next one is one step shorter again. */
export const HEALTHY_WHILE_MS = 300_000;
/** Doubling stops here: 5 s · 2⁶ is past the longest opening. */
const MOST_OPENINGS = 6;
/** At most this share of a model's candidates is shut out by circuits (but always at least one may be). */
const EVICTION_CAP = 0.5;

/** How an attempt ended, in the words of `hub/link.ts`. */
export type AttemptOutcome = 'completed' | 'refused' | 'busy' | 'failed' | 'lost' | 'cancelled';

/** What an outcome says about the candidate. */
export type Judgement = 'served' | 'failed' | 'neutral';

/**
 * What `outcome` says about whoever served. The caller's own mistakes, a lack of room and our own cancelling say
 * nothing (`neutral`); neither does a lost link that the request itself caused (`poisoned`: the dispatcher knows).
 */
export function judgement(outcome: AttemptOutcome, poisoned = false): Judgement {
  if (outcome === 'completed') return 'served';
  if (outcome === 'failed') return 'failed';
  if (outcome === 'lost') return poisoned ? 'neutral' : 'failed';
  return 'neutral';
}

/** The circuit of a candidate that just appeared. */
export function newBreaker(): Breaker {
  return {
    state: 'closed',
    consecutiveFailures: 0,
    openUntilMs: 0,
    openings: 0,
    trialsUnderWay: 0,
    byProbes: false,
  };
}

/**
 * Notes that an attempt begins on a candidate that routing chose. True when it is a trial; hand that back to
 * `endAttempt`. An open circuit that is tried, because its time is over or in panic, is half-open from here.
 */
export function beginAttempt(breaker: Breaker): boolean {
  if (breaker.state === 'closed') return false;
  breaker.state = 'half-open';
  breaker.trialsUnderWay += 1;
  return true;
}

/**
 * Notes how an attempt ended, on the circuit and on the success rate. `mayOpen` answers false when the eviction cap
 * forbids shutting out one more (`mayEvict`); a failed trial opens again regardless, for it was shut out already.
 */
export function endAttempt(
  breaker: Breaker,
  record: ServiceRecord,
  attempt: { trial: boolean; judgement: Judgement },
  at: { nowMs: number; random: Randomness; mayOpen: () => boolean },
): void {
  if (attempt.trial) breaker.trialsUnderWay = Math.max(0, breaker.trialsUnderWay - 1);
  if (attempt.judgement === 'neutral') return;
  const succeeded = attempt.judgement === 'served';
  noteOutcome(record, succeeded, at.nowMs);
  // Attempts from before the circuit opened end late. They say what is known already: only a trial moves an open circuit.
  if (breaker.state !== 'closed' && !attempt.trial) return;

  if (succeeded) {
    breaker.consecutiveFailures = 0;
    breaker.state = 'closed';
    breaker.byProbes = false;
    return;
  }
  breaker.consecutiveFailures += 1;
  if (breaker.state === 'closed') {
    const failing =
      breaker.consecutiveFailures >= FAILURES_TO_OPEN ||
      (record.outcomes >= OUTCOMES_TO_JUDGE && record.success < SUCCESS_TO_STAY_CLOSED);
    if (failing && at.mayOpen()) open(breaker, at);
  } else if (at.nowMs < breaker.openUntilMs) {
    // Tried early, in panic: its time goes on as it was, or a panic would drive every opening to its maximum.
    breaker.state = 'open';
  } else {
    open(breaker, at);
  }
}

/**
 * Opens a closed circuit on other evidence than attempts: what it answers is wrong, say. To an attempt a wrong answer is a
 * good one, so an ordinary request would close the circuit again: it may try only once probes had the time to.
 */
export function shutOut(
  breaker: Breaker,
  at: { nowMs: number; random: Randomness; mayOpen: () => boolean },
): void {
  if (breaker.state !== 'closed' || !at.mayOpen()) return;
  open(breaker, at);
  breaker.byProbes = true;
}

/** A probe that another gateway made was answered well: an ordinary attempt may be the trial, once the opening is over. */
export function letTry(breaker: Breaker): void {
  breaker.byProbes = false;
}

/** How long after an opening only probes try what probes shut out: two turns of theirs. */
const PROBES_FIRST_MS = 120_000;

/** When an open circuit may be tried by an ordinary request. */
export function trialsFromMs({ openUntilMs, byProbes }: Breaker): number {
  return byProbes ? openUntilMs + PROBES_FIRST_MS : openUntilMs;
}

/** `openUntilMs` keeps the end of the last opening while the circuit is closed: the healthy while is counted from it. */
function open(breaker: Breaker, at: { nowMs: number; random: Randomness }): void {
  const healthyWhiles = Math.max(0, Math.floor((at.nowMs - breaker.openUntilMs) / HEALTHY_WHILE_MS));
  const step = Math.max(0, breaker.openings - healthyWhiles);
  breaker.byProbes = false;
  const longest = Math.min(LONGEST_OPENING_MS, FIRST_OPENING_MS * 2 ** step);
  breaker.state = 'open';
  // Up to a fifth shorter, so that candidates which failed together are not tried together.
  breaker.openUntilMs = at.nowMs + longest * (0.8 + 0.2 * at.random.float());
  breaker.openings = Math.min(MOST_OPENINGS, step + 1);
}

/**
 * May one more of a model's candidates be shut out, namely `who`? Only those that could serve but for their circuit are
 * counted. An agent always may while an external endpoint stands by: the cap is there so that somebody is left to try.
 */
export function mayEvict(candidates: readonly Candidate[], who?: Pick<Candidate, 'mode'>): boolean {
  let fleet = 0;
  let shut = 0;
  for (const candidate of candidates) {
    if (!candidate.eligible || candidate.draining || candidate.health === 'unhealthy') continue;
    fleet += 1;
    if (candidate.breaker.state !== 'closed') shut += 1;
    else if (candidate.mode === 'external' && who?.mode === 'websocket') return true;
  }
  return shut < Math.max(1, Math.floor(fleet * EVICTION_CAP));
}
