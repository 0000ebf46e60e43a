import type { Operation } from '#domain/operation.ts';

/** A job that is over, for whoever looks at the agent: how it went, and nothing of what was asked or said. */
export interface FinishedJob {
  readonly requestId: string;
  readonly modelId: string;
  readonly operation: Operation;
  readonly streaming: boolean;
  /** 200, 499 after a cancel, or what went wrong. */
  readonly status: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** Wall milliseconds. */
  readonly endedAt: number;
  readonly tookMs: number;
}

const KEPT = 100;

/** The last hundred jobs. */
export class RecentJobs {
  readonly #jobs: FinishedJob[] = [];
  #next = 0;

  note(job: FinishedJob): void {
    this.#jobs[this.#next] = job;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** Newest first. */
  list(): FinishedJob[] {
    return [...this.#jobs.slice(this.#next), ...this.#jobs.slice(0, this.#next)].toReversed();
  }
}
