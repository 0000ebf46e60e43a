import type { EventEmitter } from 'node:events';
import type { Clock } from '#kit/clock.ts';
import { startThread } from '#kit/thread.ts';
import type { CodeOutcome, CodeWork } from './closed-place.worker.ts';

/**
 * Runs code of strangers in the closed place (`closed-place.worker.ts`), one answer after the other. The engine there has
 * limits of its own; should it hang all the same, or die, its thread is put down and the next answer gets a new one.
 */
export class Evaluator {
  readonly #clock: Clock;
  readonly #start: () => EvaluatingThread;
  #thread: EvaluatingThread | undefined;
  #answered: ((outcome: CodeOutcome) => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(parts: { clock: Clock; start?: () => EvaluatingThread }) {
    this.#clock = parts.clock;
    this.#start = parts.start ?? (() => startThread('closed-place', import.meta.url));
  }

  /** What the function does with each list of arguments. Never rejects: what could not be run is undefined. */
  run(work: CodeWork): Promise<CodeOutcome> {
    const turn = this.#last.then(() => this.#one(work));
    this.#last = turn;
    return turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const thread = this.#thread;
    this.#thread = undefined;
    this.#answered?.(undefined);
    await thread?.terminate();
  }

  #one(work: CodeWork): Promise<CodeOutcome> {
    if (this.#closed) return Promise.resolve(undefined);
    const thread = this.#thread ?? this.#open();
    if (!thread) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const timer = this.#clock.after(DEADLINE_MS, () => {
        this.#gone(thread);
        void thread.terminate();
      });
      const answered = (outcome: CodeOutcome): void => {
        timer.cancel();
        this.#answered = undefined;
        resolve(outcome);
      };
      this.#answered = answered;
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origins
      thread.postMessage(work);
    });
  }

  #open(): EvaluatingThread | undefined {
    let thread: EvaluatingThread;
    try {
      thread = this.#start();
    } catch {
      return undefined;
    }
    this.#thread = thread;
    thread.on('message', (outcome: CodeOutcome) => {
      if (thread === this.#thread) this.#answered?.(outcome);
    });
    thread.on('error', () => this.#gone(thread));
    thread.on('exit', () => this.#gone(thread));
    return thread;
  }

  #gone(thread: EvaluatingThread): void {
    if (thread !== this.#thread) return;
    this.#thread = undefined;
    this.#answered?.(undefined);
  }
}

/** What runs it: a thread, or a stand-in of one in a test. */
export interface EvaluatingThread extends Pick<EventEmitter, 'on'> {
  postMessage(work: CodeWork): void;
  terminate(): Promise<number>;
}

/** The engine mostly stops by itself long before; this also covers the start of the thread on a crowded machine. */
export const DEADLINE_MS = 10_000;
