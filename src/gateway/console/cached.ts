import { LRUCache } from 'lru-cache';
import type { Clock } from '#kit/clock.ts';

/**
 * An answer that many may ask for and that costs a long look at the database: kept for a while, and worked out once
 * however many ask at the same time. A look that fails is not kept.
 */
export function cached<T>(clock: Clock, keptMs: number, work: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  let untilMs = 0;
  const keep = async (fresh: Promise<T>): Promise<void> => {
    try {
      await fresh;
      untilMs = clock.nowMs() + keptMs;
    } catch {
      // Whoever asked meets the error; the next one asks anew.
      answer = undefined;
    }
  };
  return () => {
    const nowMs = clock.nowMs();
    if (answer && nowMs < untilMs) return answer;
    const fresh = work();
    answer = fresh;
    // Nobody starts a second look while the first runs, however long it takes.
    untilMs = Number.POSITIVE_INFINITY;
    void keep(fresh);
    return fresh;
  };
}

/** The same for an answer that differs by name (a provider's, say); the names asked for last are remembered. */
export function cachedBy<T>(
  clock: Clock,
  keptMs: number,
  work: (name: string) => Promise<T>,
): (name: string) => Promise<T> {
  const known = new LRUCache<string, () => Promise<T>>({ max: NAMES_MAX });
  return (name) => {
    let ask = known.get(name);
    if (!ask) {
      ask = cached(clock, keptMs, () => work(name));
      known.set(name, ask);
    }
    return ask();
  };
}

const NAMES_MAX = 1_000;
