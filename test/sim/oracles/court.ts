import type { Trace } from '../trace.ts';

/** A promise that was not kept, with all that is needed to see it again. */
export interface Violation {
  readonly seed: number;
  readonly step: number;
  readonly atMs: number;
  /** I1 to I9 of the reliability page, `outcome` for a request that leaves no row or two, `bug` for an error of ours, `liveness` for the end. */
  readonly invariant: string;
  readonly what: string;
  readonly trace: readonly string[];
}

const TRACE_LINES = 40;

/** Hears every oracle. The first violation ends the run. */
export class Court {
  readonly violations: Violation[] = [];
  readonly #seed: number;
  readonly #trace: Trace;
  readonly #nowMs: () => number;
  step = 0;

  constructor(seed: number, trace: Trace, nowMs: () => number) {
    this.#seed = seed;
    this.#trace = trace;
    this.#nowMs = nowMs;
  }

  /** `subjects` are whose lines of the trace are shown; none means everybody's. */
  report(invariant: string, what: string, subjects: readonly string[] = []): void {
    this.violations.push({
      seed: this.#seed,
      step: this.step,
      atMs: this.#nowMs(),
      invariant,
      what,
      trace: this.#trace.about(subjects, TRACE_LINES),
    });
  }
}
