/** What a job consumed. Whole, non-negative numbers. */
export interface Usage {
  /** Tokens read and made; zero where the notion does not apply. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What is sold by the piece: images made, recordings transcribed. Absent means none. */
  readonly units?: number;
  /** Seconds of sound, each begun one counted. Absent means none. */
  readonly seconds?: number;
}

export const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0 };

/**
 * A token count as stated by somebody else, made safe: a whole number from 0 to `ceiling`. Anything that is not a finite
 * non-negative whole number (negative, fractional, NaN, 1e308, a string, absent) is no statement at all: undefined.
 */
export function statedCount(value: unknown, ceiling: number): number | undefined {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return undefined;
  return Math.min(value, ceiling);
}
