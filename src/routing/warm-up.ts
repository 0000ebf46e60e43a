import { CHAT_ONLY } from '#domain/operation.ts';
import type { Candidate } from './candidate.ts';

/**
 * Whom to warm up. A model server loads a model at its first request and throws it out when nobody asks for a while; a
 * small request ahead of the paid one moves that wait away from the consumer. It costs the provider a generation that
 * nobody pays, so it is asked for only where it is about to matter:
 *
 * - *listed*: a node lists a model that was asked for lately, and has served nothing of it on this connection yet;
 * - *cold*: a model is being asked for, and no node that served it lately has room left for the next request.
 *
 * A node is left alone while anything runs on it, while another warm-up does, and for a growing while after one that failed.
 */
export interface WarmUpSettings {
  /** A model that was not asked for in this long is not about to be needed. */
  readonly demandWithinMs: number;
  /** Without a request for this long, a model may have been thrown out. */
  readonly coldAfterMs: number;
  /** The most warm-ups under way at once, over all nodes. */
  readonly atOnceMax: number;
}

export const WARM_UP: WarmUpSettings = { demandWithinMs: 600_000, coldAfterMs: 240_000, atOnceMax: 8 };

/** What is known of one candidate's warmth, beyond what routing sees. Times are monotonic milliseconds. */
export interface Warmth {
  /** When it last was seen to have the model loaded on this connection; null: never. */
  readonly lastWarmMs: number | null;
  /** No warm-up before this time: earlier ones failed. */
  readonly notBeforeMs: number;
}

export interface Warmable {
  readonly candidate: Candidate;
  readonly warmth: Warmth;
}

/** Models by when they were last asked for, with their candidates. */
export interface Wanted {
  readonly modelId: string;
  readonly lastAskedMs: number;
  readonly candidates: readonly Warmable[];
}

export interface WarmUp {
  readonly modelId: string;
  readonly candidate: Candidate;
}

/** The candidates to warm up now, the most wanted models first. `busyNodes`: nodes whose warm-up is under way. */
export function chooseWarmUps(
  wanted: readonly Wanted[],
  now: { nowMs: number; busyNodes: ReadonlySet<string> },
  settings: WarmUpSettings,
): WarmUp[] {
  const chosen: WarmUp[] = [];
  const taken = new Set(now.busyNodes);
  const recent = wanted
    .filter(({ lastAskedMs }) => now.nowMs - lastAskedMs <= settings.demandWithinMs)
    .toSorted((a, b) => b.lastAskedMs - a.lastAskedMs);
  for (const { modelId, candidates } of recent) {
    // A warm node that has room is all that a model needs.
    let spare = candidates.some((each) => isWarm(each, now.nowMs, settings) && hasRoom(each.candidate));
    for (const { candidate, warmth } of candidates) {
      if (taken.size >= settings.atOnceMax) return chosen;
      const isNew = warmth.lastWarmMs === null;
      if (!isNew && spare) continue;
      if (!isNew && now.nowMs - warmth.lastWarmMs < settings.coldAfterMs) continue;
      if (now.nowMs < warmth.notBeforeMs || taken.has(candidate.nodeId) || !mayBeAsked(candidate)) continue;
      taken.add(candidate.nodeId);
      chosen.push({ modelId, candidate });
      spare = true;
    }
  }
  return chosen;
}

/** How long a node is left alone after `failures` warm-ups in a row failed, in milliseconds. */
export function leftAloneMs(failures: number): number {
  return Math.min(LEFT_ALONE_MS_MAX, LEFT_ALONE_MS * 2 ** Math.min(failures - 1, 10));
}

const LEFT_ALONE_MS = 60_000;
const LEFT_ALONE_MS_MAX = 1_800_000;

function isWarm({ candidate, warmth }: Warmable, nowMs: number, settings: WarmUpSettings): boolean {
  return (
    // An endpoint that serves meanwhile is no reason to leave the agents cold.
    candidate.mode === 'websocket' &&
    warmth.lastWarmMs !== null &&
    nowMs - warmth.lastWarmMs < settings.coldAfterMs &&
    candidate.eligible &&
    !candidate.draining &&
    candidate.health !== 'unhealthy' &&
    candidate.breaker.state === 'closed'
  );
}

function hasRoom(candidate: Candidate): boolean {
  return candidate.inFlight < candidate.capacity && candidate.linkInFlight < candidate.linkCapacity;
}

/** A warm-up is a small chat: nobody else understands it. */
function mayBeAsked(candidate: Candidate): boolean {
  return (
    candidate.mode === 'websocket' &&
    (candidate.operations & CHAT_ONLY) !== 0 &&
    candidate.eligible &&
    !candidate.draining &&
    candidate.health !== 'unhealthy' &&
    candidate.breaker.state === 'closed' &&
    candidate.linkInFlight === 0
  );
}
