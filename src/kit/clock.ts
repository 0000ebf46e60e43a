/**
 * Time, handed in. Two times exist and must not be confused: the *wall* clock labels rows and may jump; the *monotonic*
 * clock measures durations and deadlines and never goes back. Everything that waits goes through here, so that a test
 * moves a clock instead of sleeping.
 */

/** A pending timer. Cancelling one that already ran does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time in milliseconds since 1970 UTC. For labels only. */
  wallMs(): number;
  /** Monotonic milliseconds (fractions included), from an arbitrary origin. For durations and deadlines. */
  nowMs(): number;
  /** Runs `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): Timer;
  /** Runs `run` every `periodMs` until cancelled. Use `kit/rounds.ts` for work that may outlast its period. */
  every(periodMs: number, run: () => void): Timer;
  /** Runs `run` once when the current turn of the event loop has handled its input. */
  endOfTurn(run: () => void): void;
}

/** The machine's own clocks. Timers do not keep the process alive. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  every(periodMs, run) {
    const handle = setInterval(run, periodMs);
    handle.unref();
    return { cancel: () => clearInterval(handle) };
  },
  endOfTurn(run) {
    if (endings.push(run) === 1) setImmediate(endTurn);
  },
};

let endings: (() => void)[] = [];

/** One immediate serves all that wait for the end of a turn. What they ask for in turn comes after the next. */
function endTurn(): void {
  const now = endings;
  endings = [];
  for (let i = 0; i < now.length; i++) {
    try {
      now[i]?.();
    } catch (error) {
      // As an immediate of its own would: the error is the process's, and the others still run.
      endings.unshift(...now.slice(i + 1));
      if (endings.length > 0) setImmediate(endTurn);
      throw error;
    }
  }
}

/** Resolves after `delayMs`; resolves early (without error) when `signal` aborts. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const stop = (): void => {
      timer.cancel();
      resolve();
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Resolves when `work` has, or after `ms`, whichever is first; leaves no timer behind that would hold up the process. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([work, pause(clock, ms, over.signal)]);
  } finally {
    over.abort();
  }
}
