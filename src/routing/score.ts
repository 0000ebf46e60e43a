import type { ServiceRecord } from './candidate.ts';

/**
 * What is remembered of a candidate, moved by outcomes. Nothing here reads a clock: times are handed in, in monotonic
 * milliseconds. The figures are explained for operators in `docs/routing.md`.
 */

/** Where a newcomer starts and an idle candidate drifts to: behind one that proved itself, ahead of one that fails. */
export const NEUTRAL_SUCCESS = 0.8;
/** The weight of the newest outcome. */
const OUTCOME_WEIGHT = 0.1;
/** The weight of the newest speed: speeds move faster than reliability, and matter sooner. */
const SPEED_WEIGHT = 0.2;
/** The weight of the newest recount. */
const CLAIM_WEIGHT = 0.2;
/** Silence up to this long leaves a record as it is. */
export const FRESH_MS = 60_000;
/** After this much further silence half of what sets a record apart is forgotten, after three times as much, three quarters. */
export const FORGET_MS = 600_000;

/** The record of a candidate that nothing is known of. */
export function newRecord(): ServiceRecord {
  return {
    success: NEUTRAL_SUCCESS,
    ttftMs: null,
    tokensPerSecond: null,
    outcomes: 0,
    lastOutcomeMs: null,
    lastServedMs: null,
    overclaim: 0,
  };
}

/**
 * The success rate as it counts now: the measured one, drawn towards neutral by silence. A quotient and not a power of
 * two, because it is computed for every candidate of every request.
 */
export function successAt(record: ServiceRecord, nowMs: number): number {
  if (record.lastOutcomeMs === null) return record.success;
  const silenceMs = nowMs - record.lastOutcomeMs - FRESH_MS;
  if (silenceMs <= 0) return record.success;
  return NEUTRAL_SUCCESS + ((record.success - NEUTRAL_SUCCESS) * FORGET_MS) / (FORGET_MS + silenceMs);
}

/** Notes a finished attempt that says something about the candidate (`judgement` in `routing/breaker.ts` decides which do). */
export function noteOutcome(record: ServiceRecord, succeeded: boolean, nowMs: number): void {
  const before = successAt(record, nowMs);
  record.success = before + OUTCOME_WEIGHT * ((succeeded ? 1 : 0) - before);
  record.outcomes += 1;
  record.lastOutcomeMs = nowMs;
  if (succeeded) record.lastServedMs = nowMs;
}

/** Notes the time from dispatch to first content, in milliseconds. What is not a time is not noted. */
export function noteTtft(record: ServiceRecord, ttftMs: number): void {
  record.ttftMs = averaged(record.ttftMs, ttftMs);
}

/** Notes the speed of an answer. What is not a speed is not noted. */
export function noteTokensPerSecond(record: ServiceRecord, tokensPerSecond: number): void {
  record.tokensPerSecond = averaged(record.tokensPerSecond, tokensPerSecond);
}

/**
 * Notes a recount (`gateway/recount.ts`): did the provider claim more than there was, beyond the tolerance? Silence
 * forgives nothing here; only honest claims do.
 */
export function noteClaim(record: ServiceRecord, overclaimed: boolean): void {
  record.overclaim += CLAIM_WEIGHT * ((overclaimed ? 1 : 0) - record.overclaim);
}

function averaged(before: number | null, value: number): number | null {
  if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return before;
  return before === null ? value : before + SPEED_WEIGHT * (value - before);
}
