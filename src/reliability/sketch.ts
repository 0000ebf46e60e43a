import * as hdr from 'hdr-histogram-js';

/**
 * Durations of any number of requests in a few hundred bytes, from which quantiles follow to 1 %: a high dynamic range
 * histogram with two significant digits (hdrhistogram.org). Sketches of different minutes and processes can be added up,
 * which averages of percentiles cannot.
 */
const SHAPE = {
  lowestDiscernibleValue: 1,
  // An hour. What takes longer counts as that long.
  highestTrackableValue: 3_600_000,
  numberOfSignificantValueDigits: 2,
  bitBucketSize: 32,
} as const;

/** Writes durations (whole milliseconds, 1 or more) as text; undefined for none. */
export function encodeDurations(durations: readonly number[]): string | undefined {
  if (durations.length === 0) return undefined;
  const sketch = hdr.build(SHAPE);
  for (const each of durations) sketch.recordValue(Math.min(each, SHAPE.highestTrackableValue));
  return hdr.encodeIntoCompressedBase64(sketch);
}

/** Adds up sketches and answers their quantiles. */
export class MergedDurations {
  readonly #sketch = hdr.build(SHAPE);

  add(encoded: string): void {
    this.#sketch.add(hdr.decodeFromCompressedBase64(encoded));
  }

  get count(): number {
    return this.#sketch.totalCount;
  }

  /** The duration that `percent` of them do not exceed, in milliseconds; null when there are none. */
  percentile(percent: number): number | null {
    return this.count === 0 ? null : this.#sketch.getValueAtPercentile(percent);
  }

  /** All of them as one text, to be kept in their place; undefined when there are none. */
  encode(): string | undefined {
    return this.count === 0 ? undefined : hdr.encodeIntoCompressedBase64(this.#sketch);
  }
}
