/**
 * A candidate that comes and goes (its agent calls the model ill and well in turn, or its connection breaks again and
 * again) takes requests with it each time. Each fall is remembered and forgotten by half every ten minutes; whoever has
 * fallen more often than twice of late stands behind those that stay, whatever its word, until that is forgotten.
 *
 * A fall is a word that the model is ill, or a connection that ended without asking for no more work first.
 */
export interface Falls {
  /** As it was at `lastMs`. */
  count: number;
  /** Monotonic milliseconds; undefined before the first. */
  lastMs: number | undefined;
}

export const FALL_HALF_LIFE_MS = 600_000;
/** Restarting twice is no flapping. */
const FALLS_FORGIVEN = 2;
/** So that a night of falls is forgotten within an hour. */
const FALLS_MAX = 64;

export function noFalls(): Falls {
  return { count: 0, lastMs: undefined };
}

/** How many falls are still remembered. */
export function fallsAt({ count, lastMs }: Falls, nowMs: number): number {
  if (lastMs === undefined) return 0;
  return count * 2 ** (-Math.max(0, nowMs - lastMs) / FALL_HALF_LIFE_MS);
}

export function noteFall(falls: Falls, nowMs: number): void {
  falls.count = Math.min(FALLS_MAX, fallsAt(falls, nowMs) + 1);
  falls.lastMs = nowMs;
}

export function isFlapping(falls: Falls, nowMs: number): boolean {
  return fallsAt(falls, nowMs) > FALLS_FORGIVEN;
}
