import type { Clock } from '#kit/clock.ts';

/**
 * Clocks for a day that is played faster than it passes. The *calendar* runs fast and everything else is real: rows are
 * labelled with the day's time, and how long an answer takes is measured as it is. The *watch* runs fast altogether: a round
 * of ten seconds comes every tenth of one, where the day is played a hundred times as fast.
 */
export interface FastClocks {
  readonly calendar: Clock;
  readonly watch: Clock;
}

/** @param startMs what the wall clock says now */
export function fastClocks(base: Clock, about: { startMs: number; speed: number }): FastClocks {
  const { startMs, speed } = about;
  const beganMs = base.nowMs();
  const passedMs = (): number => (base.nowMs() - beganMs) * speed;
  const wallMs = (): number => Math.floor(startMs + passedMs());
  return {
    calendar: { ...base, wallMs },
    watch: {
      ...base,
      wallMs,
      nowMs: passedMs,
      after: (delayMs, run) => base.after(delayMs / speed, run),
      every: (periodMs, run) => base.every(periodMs / speed, run),
    },
  };
}
